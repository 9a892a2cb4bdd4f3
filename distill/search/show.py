"""What a search found, as a table on a terminal and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from distill.results import canvas
from distill.results.columns import COLUMNS, shown
from distill.results.layout import ESSENTIAL, Field, show
from distill.search.outcome import UNITS, Outcome, Searched, Trial

_STYLES = {"random": canvas.ORANGE, "tpe": canvas.BLUE}


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Prints the Pareto front, what every strategy did, and what that says.

    Args:
        outcome: Of the search.
        console: Where to; columns that do not fit its width are left out, least important first.
    """
    title = f"Pareto front: {UNITS[outcome.compared]} against validation accuracy"
    show(_front(outcome), console, title)
    show(_strategies(outcome.searches), console)
    for sentence in outcome.sentences():
        console.print(Text(sentence))


def _front(outcome: Outcome) -> list[Field]:
    front = outcome.front

    def column(heading: str, cell: Callable[[Trial], str], weight: float, *, text: bool = False) -> Field:
        styles = ["bold" if trial is outcome.winner else "" for trial in front]
        cells = [Text(cell(trial), style) for trial, style in zip(front, styles, strict=True)]
        return Field(heading, cells, weight, text=text)

    def cost(name: str) -> Field:
        unit = COLUMNS[name].unit
        weight = ESSENTIAL + 5 if name == outcome.compared else 40
        heading = f"{COLUMNS[name].heading}\n{unit}" if unit else COLUMNS[name].heading
        return column(heading, lambda trial: shown(name, trial.costs[name]), weight)

    return [
        column("student", lambda trial: trial.label, ESSENTIAL + 9, text=True),
        column("val\n%", lambda trial: shown("val_accuracy", trial.val_accuracy), ESSENTIAL + 8),
        column("test\n%", lambda trial: shown("accuracy", trial.accuracy), ESSENTIAL + 7),
        *(cost(name) for name in ("params", "flops", "latency_ms")),
        column("found by", outcome.found_by, 50, text=True),
    ]


def _strategies(searches: Sequence[Searched]) -> list[Field]:
    def column(heading: str, cell: Callable[[Searched], str], weight: float, *, text: bool = False) -> Field:
        return Field(heading, [Text(cell(searched)) for searched in searches], weight, text=text)

    return [
        column("strategy", lambda one: one.name, ESSENTIAL + 9, text=True),
        column("trained", lambda one: str(len(one.trials)), ESSENTIAL),
        column("rejected", lambda one: _rejected(one), 60, text=True),
        column("in full", lambda one: str(sum(not trial.stopped for trial in one.trials)), 70),
        column("epochs\nin all", lambda one: f"{one.epochs:,}", 80),
        column("training\ns", lambda one: f"{one.seconds:.0f}", 50),
        column("best val\n%", lambda one: shown("val_accuracy", one.best.val_accuracy), ESSENTIAL + 8),
        column("its test\n%", lambda one: shown("accuracy", one.best.accuracy), ESSENTIAL + 7),
    ]


def _rejected(one: Searched) -> str:
    words = {"params": "parameters", "flops": "FLOPs", "latency_ms": "latency"}
    return (
        ", ".join(
            f"{count} by {words[why]}" if why in words else f"{count} {why}" for why, count in one.rejected.items()
        )
        or "0"
    )


def draw(outcome: Outcome, path: Path) -> Path:
    """Draws cost against validation accuracy: the front, the others trained in full, and faintly those stopped.

    Args:
        outcome: Of the search.
        path: PNG to write.

    Returns:
        `path`.
    """
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    figure, (ax,) = canvas.new(7.5, 4.6)
    ax.set_xscale("log")
    front = outcome.front
    for searched in outcome.searches:
        colour = _STYLES[searched.name]
        size = 60 if searched.name == "random" else 28  # what both found shows both
        for full, alpha in ((False, 0.3), (True, 1.0)):
            chosen = [trial for trial in searched.trials if trial.stopped is not full]
            label = f"{searched.name}, {'trained in full' if full else 'stopped early'}"
            across, up = [trial.cost for trial in chosen], [100 * trial.val_accuracy for trial in chosen]
            if chosen:
                ax.scatter(across, up, s=size, color=colour, alpha=alpha, linewidths=0, label=label, zorder=2 + full)
    steps = [(trial.cost, 100 * trial.val_accuracy) for trial in front]
    if len(steps) > 1:
        ax.step(*zip(*steps, strict=True), where="post", color=canvas.INK, linewidth=1.2, label="front", zorder=1)
    best = outcome.winner
    ax.annotate(
        best.label,
        (best.cost, 100 * best.val_accuracy),
        xytext=(-6, 8),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=canvas.INK,
    )
    unit = COLUMNS[outcome.compared].unit
    ax.set_xlabel(f"{COLUMNS[outcome.compared].heading}{f' ({unit})' if unit else ''}, log scale", color=canvas.INK)
    ax.set_ylabel("validation accuracy (%)", color=canvas.INK)
    ax.margins(x=0.08, y=0.16)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return canvas.save(figure, path)
