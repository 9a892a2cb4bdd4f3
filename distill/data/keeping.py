"""Where decoded pictures are kept: in memory, on disk, or nowhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from distill.data.listing import Listing
from distill.data.memory import SHARE, free_bytes, shown
from distill.data.picture_cache import PictureCache
from distill.data.pictures import MappedPictures, PictureFiles, Pictures, everything

Keep = Literal["auto", "memory", "disk", "none"]


def decoded(
    listings: Sequence[Listing], shape: tuple[int, int, int], keep: Keep, folder: Path, workers: int
) -> list[Tensor | Pictures]:
    """The pictures of each listing, with the same pixels wherever they are kept.

    What is kept in memory is also put on disk for the next run, when there is room.

    Args:
        listings: Pictures that are kept in the same way.
        shape: `(channels, size, size)` to decode to.
        keep: `memory`, `disk` (mapped into memory), `none` (decoded each time they are asked for), or `auto`: the
            first of them with room, told in one line.
        folder: On the disk in question.
        workers: Threads that read and decode.

    Raises:
        DataError: A picture cannot be read, or the folder cannot be written.
    """
    files = [PictureFiles(listing.files, shape, workers) for listing in listings]
    caches = [PictureCache(*pair, folder) for pair in zip(listings, files, strict=True)]
    if keep == "auto":
        keep, told = _fitting(files, caches, folder)
        print(told, file=sys.stderr)
    if keep == "none":
        return [*files]
    if keep == "disk":
        return [MappedPictures(cache.array(), workers) for cache in caches]
    if sum(cache.missing_bytes for cache in caches) > _disk_free(folder) * SHARE:
        return [everything(pictures, "cpu") for pictures in files]
    return [torch.from_numpy(np.array(cache.array())) for cache in caches]


def _fitting(files: Sequence[PictureFiles], caches: Sequence[PictureCache], folder: Path) -> tuple[Keep, str]:
    """Where the decoded pictures fit, and a line that says so."""
    needed, missing = sum(pictures.nbytes for pictures in files), sum(cache.missing_bytes for cache in caches)
    memory, disk = free_bytes("cpu"), _disk_free(folder)
    size = files[0].shape[-1]
    told = f"The pictures take {shown(needed)} decoded to {size}x{size} pixels; {shown(memory)} of memory"
    if needed <= memory * SHARE:
        return "memory", f"{told} are free: they are kept there."
    if missing <= disk * SHARE:
        return "disk", f"{told} are free, of which half may be used: they are read from {folder} as needed."
    return "none", (
        f"{told} and {shown(disk)} of the disk of {folder} are free, of which half may be used: they are decoded anew "
        "in each epoch."
    )


def _disk_free(folder: Path) -> int:
    """Free bytes of the disk that a folder is on, which need not be there yet."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free
