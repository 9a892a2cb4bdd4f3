"""Pictures decoded at the working size, kept on disk so that the next run need not decode them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from distill.errors import DataError

_FORMAT = 1
_THREADS = min(8, os.cpu_count() or 1)


def decoded(files: Sequence[Path], folder: Path, size: int, channels: int, cache: Path) -> np.ndarray:
    """Decodes pictures, or finds them in the cache.

    Args:
        files: Pictures, below `folder`.
        folder: They are known in the cache by their names below it, their sizes and their times.
        size: Side of the square they are scaled and centre-cropped to, pixels.
        channels: 3 for colour, 1 for grey.
        cache: Folder to keep the result in.

    Returns:
        `[pictures, channels, size, size]` uint8, memory-mapped; writing to it does not change the file.

    Raises:
        DataError: A picture cannot be read, or the cache cannot be written.
    """
    shape = (len(files), channels, size, size)
    target = cache / f"pictures-{_key(files, folder, size, channels)}.npy"
    if not _whole(target, shape):
        print(
            f"Decoding {len(files):,} pictures of {folder} to {size}x{size} pixels, kept in {cache} for the next run.",
            file=sys.stderr,
        )
        try:
            _decode_into(target, files, shape)
        except OSError as error:
            raise DataError(
                f"Decoded pictures cannot be written to dataset.cache={cache} ({error.strerror or error}); "
                "give a folder that is writable and has room."
            ) from error
    return np.load(target, mmap_mode="c")


def _key(files: Sequence[Path], folder: Path, size: int, channels: int) -> str:
    known = [(file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([_FORMAT, size, channels, known]).encode()).hexdigest()[:32]


def _whole(file: Path, shape: tuple[int, ...]) -> bool:
    try:
        array = np.load(file, mmap_mode="r")
    except (OSError, ValueError):
        return False
    return array.shape == shape and array.dtype == np.uint8


def _decode_into(target: Path, files: Sequence[Path], shape: tuple[int, ...]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    needed, free = int(np.prod(shape)), shutil.disk_usage(target.parent).free
    # A memory map on a full disk ends the process with a bus error instead of an exception.
    if needed > free:
        raise OSError(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")
    with _replacing(target) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _, channels, size, _ = shape

        def decode(position: int) -> None:
            array[position] = _decode(files[position], size, channels)

        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                for _ in pool.map(decode, range(len(files))):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        array.flush()


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary file that takes the place of `target` only when it is complete."""
    temporary = target.with_name(f".{target.stem}-{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _decode(file: Path, size: int, channels: int) -> np.ndarray:
    """`[channels, size, size]` uint8: the shorter side scaled to `size`, the middle kept."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            if opened.mode == "P" and "transparency" in opened.info:
                opened = opened.convert("RGBA")
            picture = ImageOps.exif_transpose(opened).convert("RGB" if channels == 3 else "L")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} is not a picture that can be read; remove or replace it.") from error
    factor = size / min(picture.size)
    width, height = (max(size, round(side * factor)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    pixels = np.asarray(picture.crop((left, top, left + size, top + size)))
    return pixels.reshape(size, size, channels).transpose(2, 0, 1)
