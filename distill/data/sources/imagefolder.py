"""The user's own pictures, one folder per class."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.config.options import BelowOne, Count
from distill.data.picture_cache import decoded
from distill.data.source import Source
from distill.data.sources import datasets
from distill.data.stratify import divide
from distill.errors import ConfigError, DataError
from distill.seeds import generator

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


@dataclass(frozen=True, kw_only=True)
class ImageFolderOptions(DatasetOptions):
    """Where the pictures are, and how large they are worked with.

    Attributes:
        path: Folder with `train/<class>/` and `test/<class>/`, or with `<class>/` and `test_fraction`.
        train: Folder of classes to train on, instead of `path`.
        test: Folder of classes to test on.
        test_fraction: Share of the pictures set apart as the test set, stratified, 0 to <1; when there is
            no folder for it.
        size: Side of the square that pictures are scaled and centre-cropped to, pixels.
        channels: 3 for colour, 1 for grey.
        cache: Folder for the decoded pictures, so that the next run need not decode them.
    """

    name: str = "imagefolder"
    path: str | None = None
    train: str | None = None
    test: str | None = None
    test_fraction: BelowOne | None = None
    size: Count = 32
    channels: Literal[1, 3] = 3
    cache: str = "outputs/cache"

    def check(self) -> Iterable[str]:
        """Adds the folders to what is checked for every data set."""
        yield from super().check()
        if (self.path is None) == (self.train is None):
            given = "null" if self.path is None else self.path
            yield f"path={given} is not allowed: give either path=<folder> or train=<folder>, and not both."
        if self.test is not None and self.test_fraction is not None:
            yield f"test_fraction={self.test_fraction} is not allowed: test={self.test} is given already."


@dataclass(frozen=True)
class _Listing:
    """Pictures found under one folder."""

    folder: Path
    classes: tuple[str, ...]
    files: list[Path]
    labels: Tensor

    def take(self, positions: Tensor) -> _Listing:
        return _Listing(
            self.folder,
            self.classes,
            [self.files[position] for position in positions.tolist()],
            self.labels[positions],
        )


@datasets.register("imagefolder", ImageFolderOptions)
def load(options: ImageFolderOptions) -> Source:
    """Lists, decodes and scales the pictures."""
    train, test = _listings(options)
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
    arrays = [
        decoded(part.files, part.folder, options.size, options.channels, Path(options.cache).expanduser())
        for part in (train, test)
    ]
    room = _available_bytes() / 2
    size = sum(array.nbytes for array in arrays)
    if size <= room:
        inputs = [torch.from_numpy(array.copy()) for array in arrays]
    else:
        print(
            f"The decoded pictures take {size / 1e9:.1f} GB while {room / 1e9:.1f} GB, half of the free "
            "memory, may be used: they are read from disk as they are needed.",
            file=sys.stderr,
        )
        inputs = [torch.from_numpy(array) for array in arrays]
    return Source(inputs[0], train.labels, inputs[1], test.labels, train.classes)


def _listings(options: ImageFolderOptions) -> tuple[_Listing, _Listing]:
    folder = Path(options.train or options.path or "").expanduser()
    test = None if options.test is None else Path(options.test).expanduser()
    if options.path is not None and (folder / "train").is_dir():
        if test is None and (folder / "test").is_dir():
            test = folder / "test"
        folder = folder / "train"
    if test is not None:
        if options.test_fraction is not None:
            raise ConfigError(f"dataset.test_fraction={options.test_fraction} is not allowed: {test} is the test set.")
        return _listing(folder), _listing(test)
    everything = _listing(folder)
    if options.test_fraction is None:
        raise DataError(
            "dataset=imagefolder: "
            f"there is no test set beside {folder}; give dataset.test=<folder>, or dataset.test_fraction=0.2 "
            "to set pictures apart."
        )
    count = round(options.test_fraction * len(everything.files))
    stays, apart = divide(everything.labels, count, generator(options.seed, "test"))
    return everything.take(stays), everything.take(apart)


def _listing(folder: Path) -> _Listing:
    if not folder.is_dir():
        raise DataError(
            "dataset=imagefolder: "
            f"there is no folder {folder}; give one that holds a folder of pictures for each class."
        )
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(
            "dataset=imagefolder: "
            f"{folder} holds no folders; put the pictures of each class into a folder named after it."
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(file for file in (folder / name).rglob("*") if file.suffix.lower() in _SUFFIXES)
        if not found:
            raise DataError(f"dataset=imagefolder: {folder / name} holds no pictures ({', '.join(sorted(_SUFFIXES))}).")
        files += found
        labels += [label] * len(found)
    return _Listing(folder, tuple(classes), files, torch.tensor(labels))


def _available_bytes() -> int:
    """Memory that is free for us, bytes."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
