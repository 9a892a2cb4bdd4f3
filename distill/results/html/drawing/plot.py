"""A plot under construction: its area, its axes, and the SVG it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from distill.results.html.drawing.look import SMALL, TEXT, Look
from distill.results.html.drawing.marks import Legend, element, line, rule, words
from distill.results.html.drawing.scales import Scale, tick_labels


@dataclass
class Plot:
    """An area with room around it, all in pixels.

    Attributes:
        width: Of the whole figure.
        height: Of the whole figure.
        left: Room beside the area.
        right: Likewise.
        top: Likewise.
        bottom: Likewise.
        parts: What has been drawn, the lowest first.
    """

    width: float
    height: float
    left: float = 48.0
    right: float = 14.0
    top: float = 10.0
    bottom: float = 42.0
    parts: list[str] = field(default_factory=list)

    @property
    def x(self) -> tuple[float, float]:
        """Left and right edge of the area."""
        return self.left, self.width - self.right

    @property
    def y(self) -> tuple[float, float]:
        """Lower and upper edge of the area: values grow upwards."""
        return self.height - self.bottom, self.top

    def add(self, *parts: str) -> None:
        """Draws elements above what is there."""
        self.parts += parts

    def legend(self, legend: Legend) -> None:
        """Puts a legend on top; the area must have left room for it."""
        self.add(legend.drawn(self.left if self.width > 400 else 4, 2))

    def across(
        self, scale: Scale, label: str, ticks: Sequence[float] | None = None, *, grid: bool = False, unit: str = ""
    ) -> None:
        """An axis along the lower edge.

        Args:
            scale: Of the axis.
            label: What it shows, with its unit.
            ticks: Values to name; `None` chooses.
            grid: Whether lines rise from them.
            unit: Behind every value named.
        """
        values = scale.ticks(max(int((self.x[1] - self.x[0]) / 70), 3)) if ticks is None else list(ticks)
        lower, upper = self.y
        for value, text in zip(values, tick_labels(values, even=ticks is None and not _wide(scale)), strict=True):
            at = scale(value)
            if grid:
                self.add(rule((at, lower), (at, upper), "grid"))
            self.add(words(text + unit, (at, lower + 17), "tick", anchor="middle", size=SMALL))
        self.add(rule((self.x[0], lower), (self.x[1], lower), "axis"))
        self.add(words(label, (sum(self.x) / 2, lower + 35), "title", anchor="middle", size=TEXT))

    def up(self, scale: Scale, label: str, ticks: Sequence[float] | None = None) -> None:
        """An axis along the left edge with lines across the area; what it shows is written above it."""
        values = scale.ticks(6) if ticks is None else list(ticks)
        for value, text in zip(values, tick_labels(values, even=ticks is None and not _wide(scale)), strict=True):
            at = scale(value)
            self.add(rule((self.x[0], at), (self.x[1], at), "grid"))
            self.add(words(text, (self.x[0] - 7, at + 4), "tick", anchor="end", size=SMALL))
        self.add(words(label, (13, sum(self.y) / 2), "title", anchor="middle", size=TEXT, turned=True))

    def level(self, look: Look, at: float, name: str) -> None:
        """A line across the area at pixel `at`, with its name at the right end."""
        self.add(line(look, [(self.x[0], at), (self.x[1], at)], 1.5))
        self.add(words(name, (self.x[1], at - 5), "label halo", anchor="end", size=SMALL))

    def svg(self, description: str) -> Markup:
        """The finished figure.

        Args:
            description: What it shows, for those who cannot see it.
        """
        return element(
            "svg",
            *self.parts,
            class_="plot",
            viewBox=f"0 0 {self.width:.0f} {self.height:.0f}",
            width=self.width,
            height=self.height,
            role="img",
            aria_label=description,
            xmlns="http://www.w3.org/2000/svg",
        )


def _wide(scale: Scale) -> bool:
    return scale.log and scale.high > 20 * scale.low
