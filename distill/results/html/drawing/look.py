"""How networks and series look: a colour of the page, a shape and a dash, so that colour is never alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from distill.results.html.drawing.svg import text_width

# Sizes of text, pixels: figures are drawn for the width they are shown at.
TEXT = 12.5
SMALL = 11.5


@dataclass(frozen=True)
class Look:
    """Of one series.

    Attributes:
        colour: The class that the style sheet gives a colour.
        shape: Of its marks: circle, square, triangle, diamond or cross.
        dash: Of its lines, as `stroke-dasharray` takes it; `None` is unbroken.
    """

    colour: str
    shape: str
    dash: str | None = None


ROLES = {
    "teacher": Look("c-teacher", "square", "8 4"),
    "baseline": Look("c-baseline", "triangle", "2.5 3"),
    "student": Look("c-student", "circle"),
}
SERIES = (
    Look("c-1", "circle"),
    Look("c-2", "diamond", "7 3"),
    Look("c-3", "square", "2.5 3"),
    Look("c-4", "triangle", "9 3 2 3"),
    Look("c-5", "cross", "1.5 4"),
)

# Several networks that answer as one.
_TOGETHER = ("ensemble", "peers", "average")


def of_role(role: str) -> Look:
    """The look of a role: of those beyond the usual three, neighbours such as `peer_2` and `peer_3` differ."""
    if role in ROLES:
        return ROLES[role]
    if role in _TOGETHER:
        return SERIES[4]
    number = re.search(r"_(\d+)$", role)
    return SERIES[1 + (int(number[1]) - 1 if number else 0) % 3]


def fits(texts: list[str], size: float = TEXT) -> float:
    """The width that the longest of some texts needs, pixels."""
    return max((text_width(text, size) for text in texts), default=0.0)
