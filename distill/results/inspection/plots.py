"""What was found out about a network, as pictures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from distill.results import canvas
from distill.results.inspection.classes import symmetrised
from distill.results.inspection.findings import Findings
from distill.results.inspection.numbers import percent, probability, short
from distill.results.inspection.softened import Softened
from distill.results.inspection.telling import Example

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = Mapping[int, np.ndarray]

CLASSES_IN_MAP = 30
_CLASSES_SHOWN, _CLASSES_ALONE, _WIDEST_NAME, _WIDEST_REASON = 6, 20, 16, 28
_SHEET = 4, 3  # columns, rows
_WITH_NUMBERS = 15  # classes up to which cells of the map have room for them


def logits_plot(logits: np.ndarray, softened: Sequence[Softened], names: Sequence[str], path: Path) -> Path:
    """Draws one vector of logits softened at several temperatures, side by side.

    Args:
        logits: `[classes]`.
        softened: The distributions.
        names: Of the classes.
        path: PNG to write.
    """
    shown: list[int] = np.argsort(-logits, kind="stable")[:_CLASSES_ALONE].tolist()
    figure, axes = canvas.new(1.2 + 2.3 * len(softened), 1.3 + 0.3 * len(shown), len(softened))
    _distributions(axes, softened, shown, [_plain(names[number]) for number in shown], None)
    figure.suptitle("softmax(logits / T)", x=0.01, ha="left", fontsize=11, color=canvas.INK)
    return _save(figure, path)


def examples_plot(found: Findings, pixels: Pixels, path: Path) -> Path:
    """Draws examples, each with its softened distributions side by side.

    Args:
        found: What was found out.
        pixels: Picture of each example by position, `[height, width, 3]` uint8; empty where inputs are no pictures.
        path: PNG to write.
    """
    rows, panels = len(found.examples), len(found.temperatures)
    size = 2.4 + 2.3 * panels, 2.5 * rows
    figure, axes = canvas.new(*size, columns=1 + panels, rows=rows, widths=[1.3, *[1.6] * panels])
    for row, example in enumerate(found.examples):
        first, *others = axes[row * (1 + panels) : (row + 1) * (1 + panels)]
        true = found.label(example.position)
        shown = found.classes_shown(example.position, _CLASSES_SHOWN)
        names = [f"{_plain(found.classes[number])}{' (true)' if number == true else ''}" for number in shown]
        _distributions(others, found.softened(example.position), shown, names, true)
        _picture(first, pixels.get(example.position))
        first.set_title(_caption(found, example), loc="left", fontsize=8, color=canvas.INK)
    _apart(figure)
    return _save(figure, path)


def pairs_plot(found: Findings, path: Path) -> Path:
    """Draws how alike classes are to the network, as a heat map; of many classes those that are alike most.

    Args:
        found: What was found out.
        path: PNG to write.
    """
    alike = symmetrised(found.targets)
    numbers = np.arange(len(alike))
    if len(alike) > CLASSES_IN_MAP:
        most = np.where(np.isnan(alike), 0.0, alike).max(axis=1)
        numbers = np.sort(np.argsort(-most, kind="stable")[:CLASSES_IN_MAP])
    cells = alike[np.ix_(numbers, numbers)]
    names = [_plain(found.classes[number]) for number in numbers.tolist()]
    longest, roomy = max(map(len, names)), len(numbers) <= _WITH_NUMBERS
    map_size, margin = max((0.42 if roomy else 0.2) * len(numbers), 3.2), 0.2 + 0.075 * longest
    figure, (ax,) = canvas.new(map_size + margin + 1.2, map_size + margin + 0.4)
    drawn = ax.imshow(cells, cmap="cividis", vmin=0.0)
    if roomy:
        middle = np.nanmax(cells) / 2 if np.isfinite(cells).any() else 0.0
        for i, j in np.ndindex(*cells.shape):
            if np.isfinite(cells[i, j]):
                colour = "black" if cells[i, j] > middle else "white"
                shown = f"{100 * cells[i, j]:.1f}"
                ax.text(j, i, shown, ha="center", va="center", color=colour, fontsize=7)
    ax.set_xticks(range(len(numbers)), names, rotation=0 if longest < 3 else 90)
    ax.set_yticks(range(len(numbers)), names)
    ax.set_facecolor(canvas.FAINT)
    ax.grid(False)
    ax.tick_params(length=0, labelsize=9 if roomy else 7)
    ax.spines[:].set_visible(False)
    of = "" if len(numbers) == len(alike) else f", {len(numbers)} of {len(alike)} classes"
    title = f"Classes that are alike to the {found.answers.role}, at T={found.pair_T:g}{of}"
    ax.set_title(title, loc="left", fontsize=10, color=canvas.INK)
    bar = figure.colorbar(drawn, ax=ax, pad=0.02, fraction=0.046)
    drawn.set_clim(0.0, None)
    bar.set_label("mean soft target of the other class (%)", color=canvas.INK, fontsize=9)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
    bar.ax.tick_params(labelsize=8, colors=canvas.INK)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return _save(figure, path)


def disagreements_plot(found: Findings, pixels: Pixels, path: Path) -> Path:
    """Draws the surest disagreements of two networks: pictures with the true class and both answers.

    Args:
        found: What was found out; the networks disagree somewhere.
        pixels: Picture of each example by position, `[height, width, 3]` uint8.
        path: PNG to write.
    """
    assert found.beside is not None
    assert found.compared is not None
    positions = found.beside.disagreements[: sheet_size()].tolist()
    columns = min(_SHEET[0], len(positions))
    rows = -(-len(positions) // columns)
    figure, axes = canvas.new(max(2.0 * columns, 4.0), 0.4 + 2.5 * rows, columns, rows)
    for ax in axes:
        ax.set_axis_off()
    for ax, position in zip(axes, positions, strict=False):
        _picture(ax, pixels.get(position))
        true = found.label(position)
        ax.set_title(f"test {position}, true: {_plain(found.classes[true])}", fontsize=8, color=canvas.INK, pad=4)
        for line, (answers, colour) in enumerate(zip(found.compared, (canvas.BLUE, canvas.VERMILION), strict=True)):
            number = int(answers.predictions[position])
            mark = "✓" if number == true else "✗"
            sure = probability(float(answers.confidence[position]))
            said = f"{mark} {answers.role}: {_plain(found.classes[number])} ({sure})"
            below = {"xy": (0.5, 0.0), "xycoords": "axes fraction", "textcoords": "offset points"}
            ax.annotate(said, xytext=(0, -4 - 11 * line), ha="center", va="top", fontsize=8, color=colour, **below)
    first, second = (answers.role for answers in found.compared)
    title = f"{first.capitalize()} and {second} disagree"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=canvas.INK)
    _apart(figure)
    return _save(figure, path)


def sheet_size() -> int:
    """How many pictures a contact sheet holds."""
    return _SHEET[0] * _SHEET[1]


def _distributions(
    axes: Sequence[Axes], softened: Sequence[Softened], numbers: Sequence[int], names: Sequence[str], true: int | None
) -> None:
    """One panel of horizontal bars per temperature, all of one scale; all other classes together are a number only."""
    rest = len(softened[0].probabilities) - len(numbers)
    ticks = [*names, *([f"{rest} others"] if rest else [])]
    longest = 0.0
    for panel, (ax, one) in enumerate(zip(axes, softened, strict=True)):
        shares = one.probabilities[list(numbers)].tolist()
        colours = [canvas.GREEN if number == true else canvas.BLUE for number in numbers]
        longest = max(longest, *shares)
        ax.barh(range(len(shares)), shares, color=colours, height=0.7)
        ends = [*zip(shares, shares, strict=True), *([(0.0, max(0.0, 1 - sum(shares)))] if rest else [])]
        for place, (end, share) in enumerate(ends):
            ax.annotate(probability(share), (end, place), (3, 0), textcoords="offset points", va="center", fontsize=7)
        if panel == 0:
            ax.set_yticks(range(len(ticks)), ticks)
        else:
            ax.set_yticks([])
        ax.set_ylim(len(ticks) - 0.4, -0.6)
        ax.grid(False)
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(length=0, labelsize=8)
        entropy = f"{one.entropy:.2f} nats, {percent(float(one.share_of_maximum), 0)} of the maximum"
        ax.set_title(f"T={one.T:g}\nentropy {entropy}", loc="left", fontsize=7, color=canvas.INK)
    for ax in axes:
        ax.set_xlim(0, longest * 1.25)


def _picture(ax: Axes, picture: np.ndarray | None) -> None:
    ax.set_axis_off()
    if picture is not None:
        ax.imshow(picture, interpolation="nearest")


def _caption(found: Findings, example: Example) -> str:
    networks = [found.answers, *([] if found.other is None else [found.other])]
    said = [f"{one.role}: {_plain(found.classes[int(one.predictions[example.position])])}" for one in networks]
    return "\n".join([f"test {example.position}", *wrap(example.reason, _WIDEST_REASON), ", ".join(said)])


def _apart(figure: Figure) -> None:
    """Room between the rows, whose captions would otherwise touch the pictures of their neighbours."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(h_pad=0.12, hspace=0.02)  # pyright: ignore[reportCallIssue]


def _plain(name: str) -> str:
    """A class name for matplotlib, to which dollars mean mathematics."""
    return short(name, _WIDEST_NAME).replace("$", r"\$")


def _save(figure: Figure, path: Path) -> Path:
    with warnings.catch_warnings():
        # Class names may have characters that the font lacks; they come out as boxes.
        warnings.filterwarnings("ignore", "Glyph")
        return canvas.save(figure, path)
