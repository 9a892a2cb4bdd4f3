"""From a picture file to pixels at the working size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distill.errors import DataError

# Raise it when other pixels come out of the same file.
VERSION = 3

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # grey; PNG of that depth, as Pillow has called it


def decode(file: Path, size: int, channels: int) -> np.ndarray:
    """Decodes one picture; its shorter side is scaled to `size`, the middle is kept.

    A JPEG is decoded at a half, a quarter or an eighth of its size where that is still large enough: measured on
    500x375 to 64 pixels 1.45 times as fast, at a mean difference of 0.9 of 255 levels.

    Args:
        file: The picture.
        size: Side of the result, pixels.
        channels: 3 for colour, 1 for grey.

    Returns:
        `[channels, size, size]` uint8.

    Raises:
        DataError: The file is not a picture that can be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            opened.draft(None, (size, size))
            if opened.mode == "P" and "transparency" in opened.info:
                opened = opened.convert("RGBA")
            if opened.mode in _SIXTEEN_BITS:  # which Pillow would cut off at 255
                opened = Image.fromarray((np.asarray(opened).clip(0, 65535) // 256).astype(np.uint8))
            picture = ImageOps.exif_transpose(opened).convert("RGB" if channels == 3 else "L")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} is not a picture that can be read; remove or replace it.") from error
    factor = size / min(picture.size)
    width, height = (max(size, round(side * factor)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    pixels = np.asarray(picture.crop((left, top, left + size, top + size)))
    return np.ascontiguousarray(pixels.reshape(size, size, channels).transpose(2, 0, 1))
