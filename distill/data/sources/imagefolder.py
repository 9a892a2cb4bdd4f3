"""The user's own pictures, one folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.config.options import BelowOne, Count
from distill.data.decoding import VERSION
from distill.data.keeping import Keep, decoded
from distill.data.listing import Listing, listing
from distill.data.pictures import Pictures
from distill.data.source import Source
from distill.data.sources import datasets
from distill.data.stratify import divide
from distill.errors import ConfigError, DataError
from distill.seeds import generator

# So many pictures tell the mean to well under one of 255 levels: that of single pictures varies by some 40.
_STATISTICS_OF = 20_000


@dataclass(frozen=True, kw_only=True)
class ImageFolderOptions(DatasetOptions):
    """Where the pictures are, and how large they are worked with.

    Attributes:
        path: Folder with `train/<class>/` and `test/<class>/`, or with `<class>/` and `test_fraction`.
        train: Folder of classes to train on, instead of `path`.
        test: Folder of classes to test on.
        test_fraction: Share of the pictures set apart as the test set, stratified, 0 to <1; when there is
            no folder for it.
        paired: Folder with another picture of each of those under `path`, by the same class and name, such as another
            modality: its channels follow those of the first, so that `student_view=channels3` shows the student them
            alone.
        size: Side of the square that pictures are scaled and centre-cropped to, pixels.
        channels: 3 for colour, 1 for grey.
        keep: Where decoded pictures are: in `memory`, on `disk` (mapped into memory), or `none`: decoded anew
            in each epoch. `auto` takes the first with room, by measured free memory and disk.
        workers: Threads that read and decode pictures before they are needed; `auto` takes one per core.
        cache: Folder for the decoded pictures, so that the next run need not decode them.
    """

    name: str = "imagefolder"
    path: str | None = None
    train: str | None = None
    test: str | None = None
    test_fraction: BelowOne | None = None
    paired: str | None = None
    size: Count = 32
    channels: Literal[1, 3] = 3
    keep: Keep = "auto"
    workers: Count | Literal["auto"] = "auto"
    cache: str = "outputs/cache"

    def check(self) -> Iterable[str]:
        """Adds the folders to what is checked for every data set."""
        yield from super().check()
        if (self.path is None) == (self.train is None):
            given = "null" if self.path is None else self.path
            yield f"path={given} is not allowed: give either path=<folder> or train=<folder>, and not both."
        if self.paired is not None and self.path is None:
            yield f"paired={self.paired} is not allowed without path=<folder>, which holds the other pictures."
        if self.test is not None and self.test_fraction is not None:
            yield f"test_fraction={self.test_fraction} is not allowed: test={self.test} is given already."


@datasets.register("imagefolder", ImageFolderOptions)
def load(options: ImageFolderOptions) -> Source:
    """Lists the pictures, and decodes them unless that is done anew in each epoch."""
    parts = _listings(options)
    train, test = parts
    if train.classes != test.classes:
        raise DataError(
            "dataset=imagefolder: "
            f"{train.folder} and {test.folder} must hold the same classes, but only one of them holds "
            f"{', '.join(sorted(set(train.classes) ^ set(test.classes)))}."
        )
    if len(train.classes) == 1:
        raise DataError(
            "dataset=imagefolder: "
            f"{train.folder} holds one class ({train.classes[0]}); telling classes apart needs at least two folders."
        )
    cache = Path(options.cache).expanduser()
    shape = (options.channels, options.size, options.size)
    train_inputs, test_inputs = decoded(parts, shape, options.keep, cache, _workers(options))
    if options.paired is not None:
        others = _pairs(options, parts)
        beside = decoded(others, shape, options.keep, cache, _workers(options))
        train_inputs, test_inputs = (_beside(*both) for both in zip((train_inputs, test_inputs), beside, strict=True))
        parts = (*parts, *others)
    return Source(
        train_inputs,
        train.labels,
        test_inputs,
        test.labels,
        train.classes,
        # Not of the pixels: what is done to the pictures must not depend on where they are kept.
        identity=repr((VERSION, shape, [part.digest(cache) for part in parts])),
        statistics_of=_STATISTICS_OF,
    )


def _pairs(options: ImageFolderOptions, parts: tuple[Listing, Listing]) -> tuple[Listing, Listing]:
    """The other picture of each."""
    others = _listings(replace(options, path=options.paired, paired=None))
    for part, other in zip(parts, others, strict=True):
        own, theirs = ({f"{file.parent.name}/{file.stem}" for file in each.files} for each in (part, other))
        if own != theirs:
            missing = sorted(own ^ theirs)
            raise DataError(
                f"dataset=imagefolder: {part.folder} and {other.folder} must hold the same pictures by class and name, "
                f"and {len(missing)} are only in one of them, such as {missing[0]}."
            )
    return others


def _beside(first: Tensor | Pictures, second: Tensor | Pictures) -> Tensor:
    if not isinstance(first, Tensor) or not isinstance(second, Tensor):
        raise ConfigError(
            "dataset.paired needs pictures in memory: give dataset.keep=memory, or a smaller dataset.size."
        )
    return torch.cat((first, second), dim=1)


def _workers(options: ImageFolderOptions) -> int:
    if options.workers != "auto":
        return options.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))  # torchrun's processes share a machine


def _listings(options: ImageFolderOptions) -> tuple[Listing, Listing]:
    folder = Path(options.train or options.path or "").expanduser()
    test = None if options.test is None else Path(options.test).expanduser()
    if options.path is not None and (folder / "train").is_dir():
        if test is None and (folder / "test").is_dir():
            test = folder / "test"
        folder = folder / "train"
    if test is not None:
        if options.test_fraction is not None:
            raise ConfigError(f"dataset.test_fraction={options.test_fraction} is not allowed: {test} is the test set.")
        return listing(folder), listing(test)
    everything = listing(folder)
    if options.test_fraction is None:
        raise DataError(
            "dataset=imagefolder: "
            f"there is no test set beside {folder}; give dataset.test=<folder>, or dataset.test_fraction=0.2 "
            "to set pictures apart."
        )
    count = round(options.test_fraction * len(everything.files))
    stays, apart = divide(everything.labels, count, generator(options.seed, "test"))
    return everything.take(stays), everything.take(apart)
