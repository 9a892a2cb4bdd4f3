"""What all plots share: their look, their colours, and how they reach a file."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by people with any colour vision, and in grey.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
ROLE_COLOURS = {"teacher": BLUE, "baseline": ORANGE, "student": GREEN}
OTHERS = (VERMILION, PURPLE, SKY, BLACK)
INK, FAINT = "#333333", "#dddddd"
DPI = 160
_SOFTWARE = "distill"


def new(
    width: float, height: float, columns: int = 1, rows: int = 1, widths: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of axes side by side, row after row; sizes in inches. Needs no display, and leaves pyplot alone.

    Args:
        width: Of the figure.
        height: Of the figure.
        columns: Axes in a row.
        rows: How many rows.
        widths: Of the columns, relative to each other; `None` for equal ones.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Its list of fonts, kept per user, may be that of an environment that is gone: a warning for every missing one,
    # while the font that it takes instead is always there.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, columns, width_ratios=widths)
    axes = [figure.add_subplot(grid[row, column]) for row in range(rows) for column in range(columns)]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#888888")
        ax.tick_params(colors=INK, labelsize=9)
        ax.grid(axis="y", color=FAINT, linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def save(figure: Figure, path: Path) -> Path:
    """Writes the figure as PNG, whole or not at all."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": _SOFTWARE})
    return write_bytes(path, drawn.getvalue())


def is_ours(path: Path) -> bool:
    """Whether a picture was drawn by this program, as the PNG itself says near its beginning."""
    with path.open("rb") as file:
        return f"Software\0{_SOFTWARE}".encode() in file.read(512)


def colours(roles: Sequence[str]) -> dict[str, str]:
    """A colour per role; the three usual roles always have their own."""
    others = [role for role in roles if role not in ROLE_COLOURS]
    return {**ROLE_COLOURS, **{role: OTHERS[i % len(OTHERS)] for i, role in enumerate(others)}}


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]], gap: float = 0.06) -> None:
    """Writes labels at the right edge of a plot, level with the lines' ends but never on each other.

    Args:
        ax: The plot, its limits final.
        ends: `(y in data units, label, colour)`.
        gap: Least distance between labels, as a share of the plot's height.
    """
    to_share = ax.transData + ax.transAxes.inverted()
    left = ax.get_xlim()[0]
    wanted = sorted((float(to_share.transform((left, y))[1]), label, colour) for y, label, colour in ends)
    places = [min(max(share, 0.0), 1.0) for share, _, _ in wanted]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    if places and places[-1] > 1.0:
        places[-1] = 1.0
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - gap)
    for place, (_, label, colour) in zip(places, wanted, strict=True):
        ax.annotate(
            label,
            (1.0, place),
            xytext=(6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=9,
            fontweight="bold",
            annotation_clip=False,
        )
