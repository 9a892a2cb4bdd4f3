"""A figure of the page: drawn for wide and for narrow screens, with its caption and its data."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from distill.results.columns import missing

HALF, FULL, NARROW = 520.0, 860.0, 340.0  # pixels


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: For anchors and for the files it is saved as.
        title: What it shows.
        caption: What to take from it.
        wide: Drawn for a desk.
        narrow: Drawn for a phone; not the same made smaller, or nobody could read it.
        data: What is drawn, as CSV.
        full: Whether it takes the whole width of the page.
    """

    name: str
    title: str
    caption: str
    wide: Markup
    narrow: Markup
    data: str
    full: bool


def figure(
    name: str,
    title: str,
    caption: str,
    draw: Callable[[float], Markup],
    header: Sequence[str],
    data: Iterable[Sequence[Any]],
    *,
    full: bool = False,
) -> Figure:
    """Draws a figure for both widths.

    Args:
        name: For anchors and files.
        title: What it shows.
        caption: What to take from it.
        draw: Makes the SVG for a width, pixels.
        header: Columns of the data.
        data: Rows of the data; empty cells are `None` or NaN.
        full: Whether it takes the whole width of the page.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(cell) for cell in row] for row in data)
    return Figure(name, title, caption, draw(FULL if full else HALF), draw(NARROW), text.getvalue(), full)


def _cell(value: Any) -> str:
    if missing(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
