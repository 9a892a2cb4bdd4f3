"""Inputs without labels, as people hand them to a trained network: picture files, and arrays of raw values."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.data.decoding import decode
from distill.data.listing import SUFFIXES
from distill.errors import DataError

ARRAYS = (".npy", ".npz")
_AT_ONCE = 250
_READERS = 8


@dataclass(frozen=True)
class Form:
    """What raw inputs of a network look like.

    Attributes:
        shape: Of one input: `(channels, height, width)` for pictures.
        maximum: The value of white in pictures of bytes; `None` for inputs that are no such pictures.
    """

    shape: tuple[int, ...]
    maximum: float | None

    @property
    def obstacle(self) -> str | None:
        """Why picture files cannot be made into such inputs; `None` where they can."""
        if self.maximum is None or len(self.shape) != 3:
            return f"it learned from arrays of numbers {_shown(self.shape)}, and not from pictures"
        channels, height, width = self.shape
        if channels not in (1, 3) or height != width:
            return f"it learned from pictures {_shown(self.shape)}, which are not square, or neither grey nor colour"
        return None


@dataclass(frozen=True)
class Part:
    """Some of the inputs.

    Attributes:
        names: Of each: its file, with `[number]` for one of an array.
        inputs: `[names, *shape]`, raw.
        unreadable: Files among these that are no pictures.
    """

    names: list[str]
    inputs: Tensor
    unreadable: list[Path]


def find(words: Sequence[str]) -> list[Path]:
    """The files that are meant.

    Args:
        words: Files, folders (searched for pictures, with all below them), or patterns such as `scans/**/*.png`.

    Returns:
        Each file once, those of a folder or a pattern in alphabetical order.

    Raises:
        DataError: Something is not there, or a folder holds no picture.
    """
    found: dict[Path, None] = {}
    for word in words:
        matches = [word] if Path(word).exists() else sorted(glob.glob(word, recursive=True))
        if not matches:
            raise DataError(
                f"There is no {word}: give picture files, folders, patterns in quotes, or .npy or .npz files."
            )
        files = [file for match in map(Path, matches) for file in _files(match)]
        if not files:
            raise DataError(f"{word} holds no pictures ({', '.join(sorted(SUFFIXES))}).")
        found |= dict.fromkeys(files)
    return list(found)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(file for file in files if not file.name.startswith("."))


def read(files: Sequence[Path], form: Form, array: str | None = None, *, negative: bool = False) -> Iterator[Part]:
    """Reads inputs part by part, so that any number of them fits into memory.

    The shorter side of a picture is scaled to the side of the network's inputs and its middle is kept, as
    `dataset=imagefolder` does it; it becomes grey or colour as they are, and white becomes `form.maximum`.

    Args:
        files: As `find` returns them.
        form: What the inputs must become.
        array: Which of the arrays of an `.npz` file; `None` takes the only one, or `x_test`.
        negative: Whether white pictures become black ones.

    Raises:
        DataError: An array is not what it should be, or pictures are given to a network of other inputs.
    """
    pictures = [file for file in files if file.suffix.lower() not in ARRAYS]
    if pictures and form.obstacle is not None:
        raise DataError(
            f"{pictures[0]} is of no use to this network: {form.obstacle}; give raw inputs as a .npy or .npz file."
        )
    arrays = [(file, _array(file, form, array)) for file in files if file.suffix.lower() in ARRAYS]
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(pictures), _AT_ONCE):
            yield _decoded(pictures[start : start + _AT_ONCE], form, negative, pool)
    for file, values in arrays:
        for start in range(0, len(values), _AT_ONCE):
            part = torch.from_numpy(np.array(values[start : start + _AT_ONCE]))
            names = [f"{file}[{start + number}]" for number in range(len(part))]
            yield Part(names, _finite(part, file), [])


def _decoded(files: Sequence[Path], form: Form, negative: bool, pool: ThreadPoolExecutor) -> Part:
    channels, size, _ = form.shape

    def attempt(file: Path) -> np.ndarray | None:
        try:
            return decode(file, size, channels)
        except DataError:
            return None

    found = list(zip(files, pool.map(attempt, files), strict=True))
    known = [pixels for _, pixels in found if pixels is not None]
    pixels = torch.from_numpy(np.stack(known)) if known else torch.empty(0, *form.shape, dtype=torch.uint8)
    assert form.maximum is not None
    if negative:
        pixels = 255 - pixels
    if form.maximum != 255:
        pixels = (pixels.double() * (form.maximum / 255)).round().to(torch.uint8)
    names = [str(file) for file, pixels in found if pixels is not None]
    return Part(names, pixels, [file for file, pixels in found if pixels is None])


def _array(file: Path, form: Form, name: str | None) -> np.ndarray:
    try:
        content: Any = np.load(file, mmap_mode="r", allow_pickle=False)
        values = _chosen(file, content, name) if file.suffix.lower() == ".npz" else content
    except DataError:
        raise
    except Exception as error:  # what is damaged fails in many ways
        raise DataError(f"{file} cannot be read: it is damaged, or not an array of numbers.") from error
    shape = values.shape
    if shape == form.shape:
        values = values[None]
    elif form.shape[0] == 1 and shape[1:] == form.shape[1:] and len(form.shape) > 1:
        values = values[:, None]
    elif shape[1:] != form.shape:
        wanted = f"[examples, {', '.join(map(str, form.shape))}]"
        raise DataError(f"{file} has the shape {list(shape)}: this network takes {wanted}.")
    if not len(values):
        raise DataError(f"{file} holds no inputs.")
    whole = np.issubdtype(values.dtype, np.integer)
    if not whole and not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{file} holds {values.dtype}: this network takes numbers.")
    if form.maximum is not None and (not whole or values.min() < 0 or values.max() > form.maximum):
        raise DataError(
            f"{file} holds {values.dtype} from {values.min():g} to {values.max():g}: this network learned from "
            f"pictures of whole numbers from 0 (black) to {form.maximum:g} (white)."
        )
    return values if form.maximum is None else values.astype(np.uint8, copy=False)


def _chosen(file: Path, content: Any, name: str | None) -> np.ndarray:
    names = list(content.files)
    wanted = name or (names[0] if len(names) == 1 else "x_test")
    if wanted not in names:
        absent = f", and no {name}" if name else ""
        raise DataError(
            f"{file} holds the arrays {', '.join(names) or '(none)'}{absent}: say which one with --array NAME."
        )
    return content[wanted]


def _finite(inputs: Tensor, file: Path) -> Tensor:
    inputs = inputs if inputs.dtype == torch.uint8 else inputs.float()
    if inputs.is_floating_point() and not bool(torch.isfinite(inputs).all()):
        raise DataError(f"{file} holds NaN or infinite numbers: remove or replace them.")
    return inputs


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
