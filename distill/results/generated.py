"""A grid of the pictures that a student learned from where there were no data, each under its class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill.results import canvas

COLUMNS, ROWS = 8, 8
_INCHES = 0.85  # of a picture
_BESIDE, _ABOVE = 0.12, 0.30  # room around a picture, as a share of its side
_LONGEST = 12  # characters of a class name
_WHITE = 255


def draw(pictures: np.ndarray, names: Sequence[str], title: str, path: Path) -> Path:
    """Draws pictures row after row.

    Args:
        pictures: `[count, height, width, 3]` uint8.
        names: Of the class of each.
        title: Of the figure.
        path: PNG to write.

    Returns:
        `path`.
    """
    _, height, width, _ = pictures.shape
    rows = -(-len(pictures) // COLUMNS)
    down, right = height + round(_ABOVE * height), width + max(1, round(_BESIDE * width))
    mosaic = np.full((rows * down, COLUMNS * right, 3), _WHITE, dtype=np.uint8)
    figure, (ax,) = canvas.new(COLUMNS * _INCHES * right / width, rows * _INCHES * down / width + 0.4)
    for number, picture in enumerate(pictures):
        top, left = number // COLUMNS * down + (down - height), number % COLUMNS * right
        mosaic[top : top + height, left : left + width] = picture
        ax.text(
            left + (width - 1) / 2,
            top - 0.5 - 0.04 * height,
            _short(names[number]),
            ha="center",
            va="bottom",
            fontsize=7,
            color=canvas.INK,
        )
    ax.imshow(mosaic, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title, loc="left", fontsize=10, color=canvas.INK)
    return canvas.save(figure, path)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
