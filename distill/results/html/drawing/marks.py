"""What stands for numbers on a plot: dots, whiskers, lines, bands, cells, and words beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from distill.results.html.drawing.look import SMALL, TEXT, Look
from distill.results.html.drawing.svg import element, points, text_width

Place = tuple[float, float]


def group(*children: str, tip: str | None = None, **attributes: str | float | None) -> Markup:
    """Elements that belong together.

    Args:
        children: Elements.
        tip: What to say when somebody points at them.
        attributes: Of the group.
    """
    said = [element("title", tip)] if tip else []
    return element("g", *said, *children, **{"class_": "tip" if tip else None, **attributes})


def dot(look: Look, at: Place, size: float = 5.0, *, hollow: bool = False) -> Markup:
    """A mark in the shape of its series.

    Args:
        look: Of the series.
        at: Where, pixels.
        size: Half of its width, pixels.
        hollow: Whether only its outline is drawn.
    """
    x, y = at
    kind = f"{look.colour} {'hollow' if hollow else 'dot'}"
    if look.shape == "circle":
        return element("circle", class_=kind, cx=x, cy=y, r=size)
    if look.shape == "square":
        half = size * 0.9
        return element("rect", class_=kind, x=x - half, y=y - half, width=2 * half, height=2 * half)
    if look.shape == "cross":
        ends = f"M{x - size:.1f} {y - size:.1f}L{x + size:.1f} {y + size:.1f}M{x - size:.1f} {y + size:.1f}"
        return element(
            "path", class_=f"{look.colour} stroke", d=f"{ends}L{x + size:.1f} {y - size:.1f}", stroke_width=2.2
        )
    far = size * 1.25
    corners = {
        "triangle": [(x, y - far), (x + far, y + 0.8 * size), (x - far, y + 0.8 * size)],
        "diamond": [(x, y - far), (x + far, y), (x, y + far), (x - far, y)],
    }[look.shape]
    return element("polygon", class_=kind, points=points(corners))


def line(look: Look, path: Sequence[Place], width: float = 2.0) -> Markup:
    """A line through some places."""
    return element(
        "polyline",
        class_=f"{look.colour} stroke",
        points=points(list(path)),
        stroke_width=width,
        stroke_dasharray=look.dash,
    )


def rule(a: Place, b: Place, class_: str = "rule") -> Markup:
    """A straight line without a series."""
    return element("line", class_=class_, x1=a[0], y1=a[1], x2=b[0], y2=b[1])


def band(look: Look, lower: Sequence[Place], upper: Sequence[Place]) -> Markup:
    """The area between two lines."""
    return element("polygon", class_=f"{look.colour} band", points=points([*upper, *reversed(lower)]))


def whisker(look: Look, low: float, high: float, y: float, width: float = 2.0) -> Markup:
    """A level interval, from pixel `low` to pixel `high`."""
    return element("line", class_=f"{look.colour} stroke", x1=low, x2=high, y1=y, y2=y, stroke_width=width)


def words(
    text: str, at: Place, class_: str = "label", *, anchor: str | None = None, size: float = TEXT, turned: bool = False
) -> Markup:
    """A text on a plot.

    Args:
        text: Escaped when it is written.
        at: Where its baseline starts, ends or has its middle.
        class_: For the style sheet.
        anchor: `middle` or `end`; `None` is its start.
        size: Pixels.
        turned: Whether it is read from below.
    """
    x, y = at
    turn = f"rotate(-90 {x:.1f} {y:.1f})" if turned else None
    return element("text", text, class_=class_, x=x, y=y, text_anchor=anchor, font_size=size, transform=turn)


@dataclass(frozen=True)
class Entry:
    """An entry of a legend.

    Attributes:
        look: How the series looks.
        text: What it is.
        kind: `dot`, `line` (with its dots), `bare` (a line without any) or `hollow`.
    """

    look: Look
    text: str
    kind: str = "dot"


class Legend:
    """Entries in as many lines as a width needs.

    Args:
        entries: In order.
        width: That there is, pixels.
    """

    LINE = 20.0

    def __init__(self, entries: Sequence[Entry], width: float):
        self._placed: list[tuple[float, float, Entry]] = []
        x = y = 0.0
        for entry in entries:
            needed = self._sample(entry) + text_width(entry.text, SMALL) + 18
            if x and x + needed - 18 > width:
                x, y = 0.0, y + self.LINE
            self._placed.append((x, y, entry))
            x += needed
        self.height = y + self.LINE if entries else 0.0

    @staticmethod
    def _sample(entry: Entry) -> float:
        return 18.0 if entry.kind in ("dot", "hollow") else 34.0

    def drawn(self, left: float, top: float) -> Markup:
        """Its elements, from the corner given, pixels."""
        parts: list[str] = []
        for x, y, entry in self._placed:
            at, middle = left + x, top + y + 9
            if entry.kind in ("line", "bare"):
                parts.append(line(entry.look, [(at, middle), (at + 27, middle)]))
            if entry.kind != "bare":
                centre = at + (5 if entry.kind in ("dot", "hollow") else 13.5)
                parts.append(dot(entry.look, (centre, middle), 4.2, hollow=entry.kind == "hollow"))
            parts.append(words(entry.text, (at + self._sample(entry), middle + 4), size=SMALL))
        return element("g", *parts)


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def named(
    wanted: Sequence[tuple[Place, str]], taken: Sequence[Place], area: tuple[float, float, float, float]
) -> Markup:
    """Writes names beside points, each where it covers no point and no other name; one without room is left out.

    Args:
        wanted: Points and their names, the most important first.
        taken: All points of the plot.
        area: Left, top, right and bottom of the plot, pixels.
    """
    boxes = [_Box(x - 5, y - 5, x + 5, y + 5) for x, y in taken]
    frame = _Box(*area)
    parts: list[str] = []
    for (x, y), name in wanted:
        wide = text_width(name, SMALL)
        for dx, dy in ((8, -8), (-8 - wide, -8), (9, 4), (-9 - wide, 4), (8, 16), (-8 - wide, 16), (-wide / 2, 20)):
            box = _Box(x + dx, y + dy - 10, x + dx + wide, y + dy + 3)
            inside = frame.left <= box.left and box.right <= frame.right + 2 and frame.top <= box.top
            if inside and box.bottom <= frame.bottom and not any(box.meets(other) for other in boxes):
                boxes.append(box)
                parts.append(words(name, (x + dx, y + dy), "label halo", size=SMALL))
                break
    return element("g", *parts)
