"""Small pictures on a terminal: two pixels in each character, the upper one as its colour, the lower as background."""

from __future__ import annotations

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

_LARGEST, _WIDEST, _SMALL = 64, 32, 12  # pixels


def shows_pictures(console: Console, pixels: np.ndarray) -> bool:
    """Whether pictures of that size make sense there: nothing on pipes, nor where colours are few.

    Args:
        console: Where to.
        pixels: `[height, width, 3]`.
    """
    colours = console.is_terminal and console.color_system in ("truecolor", "256")
    return colours and not console.options.ascii_only and max(pixels.shape[:2]) <= _LARGEST


def rendered(pixels: np.ndarray) -> list[Text]:
    """A picture as lines of characters.

    Args:
        pixels: `[height, width, 3]` uint8; scaled up where it is tiny, down where it is wide.
    """
    pixels = _scaled(pixels)
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, pixels[-1:]])
    return [
        Text.assemble(
            *(("▀", Style(color=_colour(up), bgcolor=_colour(low))) for up, low in zip(upper, lower, strict=True))
        )
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)
    ]


def _scaled(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    if max(height, width) <= _SMALL:
        return pixels.repeat(2, axis=0).repeat(2, axis=1)
    if max(height, width) > _WIDEST:
        from PIL import Image

        factor = _WIDEST / max(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return pixels


def _colour(pixel: np.ndarray) -> Color:
    return Color.from_rgb(*(int(value) for value in pixel))
