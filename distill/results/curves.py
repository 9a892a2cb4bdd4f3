"""How the networks of one run learned, epoch by epoch, as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from distill.results import canvas
from distill.results.measures import ACCURACY, R2
from distill.results.seeds import roles

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(metrics: pd.DataFrame, path: Path) -> Path:
    """Draws accuracy (or R2) and loss per epoch, every role a line, side by side.

    Args:
        metrics: `metrics.csv`: `role`, `epoch`, `loss`, `test_accuracy` and `train_accuracy` (0..1), or `test_r2` and
            `train_r2`.
        path: PNG to write.

    Returns:
        `path`.
    """
    figure, (quality, loss) = canvas.new(10.5, 4.0, columns=2)
    measure = ACCURACY if "test_accuracy" in metrics else R2
    tested, learned = f"test_{measure.name}", f"train_{measure.name}"
    colour = canvas.colours(roles(metrics))
    ends: dict[str, list[tuple[float, str, str]]] = {"quality": [], "loss": []}
    settled: list[float] = []
    for role in roles(metrics):
        own = metrics[metrics["role"] == role].sort_values("epoch")
        mark = {"marker": "o", "markersize": 4} if own["epoch"].nunique() < 3 else {}
        test = own.dropna(subset=[tested])
        if len(test):
            share = 100 * test[tested]
            quality.plot(test["epoch"], share, color=colour[role], linewidth=2.0, **mark)
            ends["quality"].append((float(share.iloc[-1]), f"{role} {share.iloc[-1]:.1f} %", colour[role]))
            settled += list(share[test["epoch"] >= test["epoch"].max() / 4])
        train = own.dropna(subset=[learned])
        quality.plot(
            train["epoch"],
            100 * train[learned],
            color=colour[role],
            linewidth=1.0,
            alpha=0.7,
            linestyle=":",
        )
        known = own[own["loss"] > 0]
        if len(known):
            loss.plot(known["epoch"], known["loss"], color=colour[role], linewidth=2.0, **mark)
            ends["loss"].append((float(known["loss"].iloc[-1]), role, colour[role]))
    _finish(quality, f"{measure.title} (%)", f"{measure.title.capitalize()}: test —, training ···")
    _finish(loss, "loss (log scale)", "Training loss, each role's own objective")
    if settled:
        # The first epochs would flatten the differences at the end, which are what one looks for.
        span = max(max(settled) - min(settled), 1.0)
        top = min(100.0 + 0.02 * span, max(settled) + 0.4 * span)
        quality.set_ylim(max(0.0, min(settled) - 0.15 * span), top)
    if ends["loss"]:
        loss.set_yscale("log")
    figure.draw_without_rendering()
    canvas.label_ends(quality, ends["quality"])
    canvas.label_ends(loss, ends["loss"])
    return canvas.save(figure, path)


def _finish(ax: Axes, label: str, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_title(title, loc="left", fontsize=11, color=canvas.INK)
    ax.set_xlabel("epoch", color=canvas.INK)
    ax.set_ylabel(label, color=canvas.INK)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    ax.margins(x=0.02)
