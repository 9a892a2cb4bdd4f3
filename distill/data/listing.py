"""Picture files under one folder, a folder for each class."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from distill.errors import DataError
from distill.files import write_text

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}

_SAMPLE = 4096
_READERS = 16


@dataclass(frozen=True)
class Listing:
    """Pictures found under one folder.

    Attributes:
        folder: They lie below it.
        classes: Name of each class, which is that of its folder.
        files: The pictures, class by class.
        labels: `[files]` int64 class numbers.
    """

    folder: Path
    classes: tuple[str, ...]
    files: list[Path]
    labels: Tensor

    def take(self, positions: Tensor) -> Listing:
        """The pictures at `positions` (`[count]` int64)."""
        files = [self.files[position] for position in positions.tolist()]
        return Listing(self.folder, self.classes, files, self.labels[positions])

    @functools.cached_property
    def key(self) -> str:
        """32 hexadecimal digits that change when a file is added, renamed, resized or written to on this machine."""
        known = [
            (name, status.st_size, status.st_mtime_ns) for name, status in zip(self._names, self._statuses, strict=True)
        ]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]

    def digest(self, cache: Path) -> str:
        """SHA-256 of what is in the files, wherever they lie, as 64 hexadecimal digits.

        To read all bytes of a large collection would take as long as to train for an epoch. Names, sizes, and of
        each file 4 KiB from its beginning, middle and end (of one of up to 12 KiB, all) tell pictures apart just as
        well: an edited picture is compressed anew, which changes its size or the bytes from the edit to the end.

        Args:
            cache: Folder that keeps the answer until a file is touched.
        """
        kept = cache / f"digest-{self.key}.txt"
        with contextlib.suppress(OSError):
            return kept.read_text()
        sizes = [status.st_size for status in self._statuses]
        total = hashlib.sha256(json.dumps([self._names, sizes]).encode())
        with ThreadPoolExecutor(_READERS) as pool:
            for sample in pool.map(_sample, self.files, sizes):
                total.update(sample)
        with contextlib.suppress(OSError):  # it saves time, and nothing depends on it
            write_text(kept, total.hexdigest())
        return total.hexdigest()

    @property
    def _names(self) -> list[str]:
        return [file.relative_to(self.folder).as_posix() for file in self.files]

    @functools.cached_property
    def _statuses(self):
        return [file.stat() for file in self.files]


def listing(folder: Path) -> Listing:
    """Finds the pictures under a folder.

    Args:
        folder: Holds a folder of pictures for each class.

    Raises:
        DataError: It holds none, or a class has no pictures.
    """
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
        found = sorted(file for file in (folder / name).rglob("*") if file.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(f"dataset=imagefolder: {folder / name} holds no pictures ({', '.join(sorted(SUFFIXES))}).")
        files += found
        labels += [label] * len(found)
    return Listing(folder, tuple(classes), files, torch.tensor(labels))


def _sample(file: Path, size: int) -> bytes:
    try:
        with file.open("rb", buffering=0) as stream:
            if size <= 3 * _SAMPLE:
                return hashlib.sha256(stream.read()).digest()
            found = hashlib.sha256()
            for offset in (0, size // 2, size - _SAMPLE):
                stream.seek(offset)
                found.update(stream.read(_SAMPLE))
            return found.digest()
    except OSError as error:
        raise DataError(f"{file} is not a picture that can be read; remove or replace it.") from error
