"""Pictures decoded at the working size, kept on disk so that the next run need not decode them."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from distill.data.decoding import VERSION
from distill.data.listing import Listing
from distill.data.pictures import PictureFiles
from distill.errors import DataError
from distill.files import replacing

_PICTURES_AT_ONCE = 512


class PictureCache:
    """Where the decoded pictures of a listing are, or will be.

    Args:
        listing: Known in the cache by the names, sizes and times of its files.
        pictures: The same files, to be decoded.
        folder: Of the cache.
    """

    def __init__(self, listing: Listing, pictures: PictureFiles, folder: Path):
        self._listing = listing
        self._pictures = pictures
        self._folder = folder
        shape = tuple(pictures.shape)
        key = hashlib.sha256(json.dumps([VERSION, listing.key, shape[1:]]).encode()).hexdigest()[:32]
        self._target = folder / f"pictures-{key}.npy"

    @property
    def missing_bytes(self) -> int:
        """What would have to be written, bytes; 0 when the pictures are there."""
        return 0 if self._whole() else self._pictures.nbytes

    def array(self) -> np.ndarray:
        """The pictures, decoded now if they are not there.

        Returns:
            `[pictures, channels, size, size]` uint8, memory-mapped; writing to it does not change the file.

        Raises:
            DataError: A picture cannot be read, or the cache cannot be written.
        """
        try:
            if not self._whole():
                self._folder.mkdir(parents=True, exist_ok=True)
                # Of several processes that need the same pictures, one decodes.
                with FileLock(self._folder / f".{self._target.stem}.lock"):
                    if not self._whole():
                        self._decode()
            return np.load(self._target, mmap_mode="c")
        except OSError as error:
            raise DataError(
                f"Decoded pictures cannot be written to dataset.cache={self._folder} ({error.strerror or error}); "
                "give a folder that is writable and has room, or dataset.keep=none."
            ) from error

    def _whole(self) -> bool:
        try:
            array = np.load(self._target, mmap_mode="r")
        except (OSError, ValueError):
            return False
        return array.shape == self._pictures.shape and array.dtype == np.uint8

    def _decode(self) -> None:
        count, _, size, _ = self._pictures.shape
        print(
            f"Decoding {count:,} pictures of {self._listing.folder} to {size}x{size} pixels, kept in "
            f"{self._folder} for the next run.",
            file=sys.stderr,
        )
        needed, free = self._pictures.nbytes, shutil.disk_usage(self._folder).free
        # A memory map on a full disk ends the process with a bus error instead of an exception.
        if needed > free:
            raise OSError(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")
        with replacing(self._target) as temporary:
            shape = tuple(self._pictures.shape)
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
            parts = torch.arange(count).split(_PICTURES_AT_ONCE)
            for part, pictures in zip(parts, self._pictures.ahead(parts), strict=True):
                array[int(part[0]) : int(part[-1]) + 1] = pictures.numpy()
            array.flush()
