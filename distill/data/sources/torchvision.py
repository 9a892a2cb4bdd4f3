"""The classic picture sets, read through torchvision and downloaded only when they are absent."""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.config.options import Flag
from distill.data.source import Source
from distill.data.sources import datasets
from distill.errors import DataError

_SECONDS_WITHOUT_ANSWER = 30


@dataclass(frozen=True, kw_only=True)
class TorchvisionOptions(DatasetOptions):
    """Where the files are.

    Attributes:
        root: Folder in torchvision's layout, such as the one that holds `MNIST/raw`.
        download: Whether files that are absent from `root` are fetched.
    """

    root: str = "data"
    download: Flag = True


@dataclass(frozen=True)
class _PictureSet:
    """How torchvision knows a data set, and what to tell the user about it."""

    name: str
    torchvision_class: str
    megabytes: int
    site: str
    folder: str

    def open(self, root: Path, train: bool, download: bool = False) -> Any:
        """torchvision's data set object."""
        kind = self.kind
        if self.name == "svhn":
            return kind(str(root), split="train" if train else "test", download=download)
        return kind(str(root), train=train, download=download)

    @property
    def kind(self) -> Any:
        """torchvision's class."""
        from torchvision import datasets as torchvision_datasets

        return getattr(torchvision_datasets, self.torchvision_class)

    def expected(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Names below `folder` of the files that are read; names and MD5 sums of their archives."""
        kind = self.kind
        if self.name == "svhn":
            return [kind.split_list[split][1] for split in ("train", "test")], []
        if self.name.startswith("cifar"):
            files = [*(name for name, _ in [*kind.train_list, *kind.test_list]), kind.meta["filename"]]
            return [f"{kind.base_folder}/{name}" for name in files], [(kind.filename, kind.tgz_md5)]
        return [name.removesuffix(".gz") for name, _ in kind.resources], list(kind.resources)


_SETS = (
    _PictureSet("mnist", "MNIST", 12, "PyTorch's mirror of MNIST", "MNIST/raw"),
    _PictureSet("fashion_mnist", "FashionMNIST", 31, "Zalando Research", "FashionMNIST/raw"),
    _PictureSet("kmnist", "KMNIST", 21, "the Center for Open Data in the Humanities", "KMNIST/raw"),
    _PictureSet("cifar10", "CIFAR10", 170, "the University of Toronto", ""),
    _PictureSet("cifar100", "CIFAR100", 169, "the University of Toronto", ""),
    _PictureSet("svhn", "SVHN", 246, "Stanford University", ""),
)
_DIGITS = ("mnist", "svhn")


def _load(pictures: _PictureSet, options: TorchvisionOptions) -> Source:
    root = Path(options.root).expanduser()
    _make_present(pictures, root, options.download)
    # torchvision reports a damaged file by whatever its parser stumbled over, AssertionError and all.
    try:
        train, test = pictures.open(root, train=True), pictures.open(root, train=False)
        train_inputs, train_labels = _tensors(train)
        test_inputs, test_labels = _tensors(test)
    except Exception as error:
        raise DataError(
            f"{pictures.name}: the files in {root / pictures.folder} are truncated or damaged "
            f"({_reason(error)}); delete them and run again, which downloads them anew."
        ) from error
    names = "0123456789" if pictures.name in _DIGITS else train.classes
    return Source(train_inputs, train_labels, test_inputs, test_labels, tuple(names))


def _tensors(examples: Any) -> tuple[Tensor, Tensor]:
    """Pictures `[examples, channels, height, width]` uint8, and labels."""
    pictures = torch.as_tensor(np.ascontiguousarray(examples.data))
    labels = torch.as_tensor(np.asarray(getattr(examples, "targets", getattr(examples, "labels", None)))).long()
    if pictures.ndim == 3:
        return pictures[:, None], labels
    if pictures.shape[-1] == 3:
        return pictures.permute(0, 3, 1, 2).contiguous(), labels
    return pictures, labels


def _make_present(pictures: _PictureSet, root: Path, download: bool) -> None:
    folder = root / pictures.folder
    names, archives = pictures.expected()
    files = [folder / name for name in names]
    if all(file.is_file() for file in files):
        return
    wanted = ", ".join([name for name, _ in archives] or names)
    advice = f"put {wanted} into {folder}, or give dataset.root=<folder> in torchvision's layout"
    unpack = bool(archives) and all(_intact(folder / name, md5) for name, md5 in archives)
    if not unpack and not download:
        raise DataError(f"{pictures.name} is not in {folder}, and dataset.download=false; {advice}.")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{pictures.name}.lock"), _all_or_nothing(files):
            if not unpack and not all(file.is_file() for file in files):
                print(
                    f"Downloading {pictures.name} (about {pictures.megabytes} MB) from {pictures.site} to {folder}.",
                    file=sys.stderr,
                )
            with _polite_download():
                for train in (True, False):
                    pictures.open(root, train=train, download=True)
    except (RuntimeError, OSError, EOFError) as error:
        _remove_empty(made, root / f".{pictures.name}.lock")
        raise DataError(f"{pictures.name} could not be downloaded ({_reason(error)}); {advice}.") from error


def _remove_empty(made: list[Path], lock: Path) -> None:
    """Leaves the user's folders as they were before a download that brought nothing."""
    if lock.parent in made:
        lock.unlink(missing_ok=True)
    for place in made:
        with contextlib.suppress(OSError):
            place.rmdir()


def _intact(file: Path, md5: str) -> bool:
    from torchvision.datasets.utils import check_integrity

    return check_integrity(file, md5)


@contextlib.contextmanager
def _all_or_nothing(files: list[Path]) -> Iterator[None]:
    """Removes what an interrupted download left under its final name, where it would pass for whole."""
    absent = [file for file in files if not file.is_file()]
    try:
        yield
    except BaseException:
        for file in absent:
            file.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _polite_download() -> Iterator[None]:
    """Gives up on a silent server, keeps stdout clean, and draws no progress bar into a log file."""
    from torchvision.datasets import utils

    bar, seconds = utils.tqdm, socket.getdefaulttimeout()
    if not sys.stderr.isatty():
        utils.tqdm = functools.partial(bar, disable=True)
    socket.setdefaulttimeout(_SECONDS_WITHOUT_ANSWER)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        utils.tqdm = bar
        socket.setdefaulttimeout(seconds)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _register(pictures: _PictureSet) -> None:
    @datasets.register(pictures.name, TorchvisionOptions)
    def load(options: TorchvisionOptions) -> Source:
        return _load(pictures, options)


for _pictures in _SETS:
    _register(_pictures)
