"""Loss and accuracy by epoch, every role a line: the mean over seeds and their range."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from distill.results.html.drawing.look import Look, of_role
from distill.results.html.drawing.marks import Entry, Legend, band, dot, group, line
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import Scale, around
from distill.results.html.drawing.svg import element
from distill.results.html.evidence import Evidence
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import percent, seeds
from distill.results.measures import ACCURACY, R2, Measure

_MOST_POINTS = 120
_NAMES = {
    f"{split}_{measure.name}": name
    for measure in (ACCURACY, R2)
    for split, name in (("val", "validation"), ("test", "test"), ("train", "training"))
}


@dataclass(frozen=True)
class _Curve:
    role: str
    column: str
    epochs: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]

    @property
    def look(self) -> Look:
        own = of_role(self.role)
        return Look(own.colour, own.shape, own.dash)


def learning(evidence: Evidence) -> list[Figure]:
    """Accuracy and loss, as far as they were recorded."""
    metrics = evidence.metrics
    if not len(metrics) or not {"role", "epoch"} <= set(metrics.columns):
        return []
    runs = metrics["run"].nunique()
    found = [*(_quality(metrics, measure, runs) for measure in (ACCURACY, R2)), _loss(metrics, runs)]
    return [one for one in found if one is not None]


def _curves(metrics: pd.DataFrame, column: str, scale: float = 1.0) -> list[_Curve]:
    if column not in metrics.columns:
        return []
    known = metrics.assign(value=scale * pd.to_numeric(metrics[column], errors="coerce")).dropna(subset=["value"])
    curves = []
    for role in dict.fromkeys(metrics["role"]):
        own = known[known["role"] == role].groupby("epoch")["value"].agg(["mean", "min", "max"]).sort_index()
        if len(own):
            kept = own.iloc[:: max(1, len(own) // _MOST_POINTS)]
            kept = kept if kept.index[-1] == own.index[-1] else pd.concat([kept, own.iloc[-1:]])
            lists = (kept[name].tolist() for name in ("mean", "min", "max"))
            curves.append(_Curve(str(role), column, [float(epoch) for epoch in kept.index], *lists))
    return curves


def _quality(metrics: pd.DataFrame, measure: Measure, runs: int) -> Figure | None:
    known, by = measure.name, measure.title
    judged = next((name for name in (f"val_{known}", f"test_{known}") if _curves(metrics, name)), None)
    if judged is None:
        return None
    thick, thin = _curves(metrics, judged, 100), _curves(metrics, f"train_{known}", 100)
    ends = ", ".join(f"{curve.role} {percent(curve.mean[-1] / 100)}" for curve in thick)
    caption = f"{_NAMES[judged].capitalize()} {by} after the last epoch: {ends}. Thin lines: training.{_over(runs)}"
    settled = [value for curve in thick for value in curve.mean[len(curve.mean) // 4 :]]
    return _figure(f"learning-{known}", f"{by.capitalize()} while learning", caption, thick, thin, f"{by} (%)", settled)


def _loss(metrics: pd.DataFrame, runs: int) -> Figure | None:
    thick = [curve for curve in _curves(metrics, "loss") if min(curve.low) > 0]
    if not thick:
        return None
    ends = ", ".join(f"{curve.role} {curve.mean[-1]:.3g}" for curve in thick)
    caption = f"Training loss after the last epoch: {ends}. Each role has its own objective, so that shapes compare "
    caption += f"and heights do not.{_over(runs)}"
    return _figure("learning-loss", "Loss while learning", caption, thick, [], "training loss, log scale", None)


def _over(runs: int) -> str:
    return f" Means over {seeds(runs)}; bands reach from the lowest to the highest." if runs > 1 else ""


def _figure(
    name: str,
    title: str,
    caption: str,
    thick: list[_Curve],
    thin: list[_Curve],
    label: str,
    settled: list[float] | None,
) -> Figure:
    return figure(
        name,
        title,
        caption,
        lambda width: _drawn(thick, thin, label, settled, width),
        ["role", "measure", "epoch", "mean", "lowest", "highest"],
        [
            (curve.role, curve.column, *values)
            for curve in (*thick, *thin)
            for values in zip(curve.epochs, curve.mean, curve.low, curve.high, strict=True)
        ],
    )


def _drawn(thick: list[_Curve], thin: list[_Curve], label: str, settled: list[float] | None, width: float) -> Markup:
    legend = Legend([Entry(of_role(curve.role), curve.role, "bare") for curve in thick], width - 60)
    plot = Plot(width, 290 + legend.height, top=legend.height + 12, left=54)
    plot.legend(legend)
    log = settled is None
    values = [value for curve in thick for value in (*curve.low, *curve.high)]
    if settled is not None:
        # The first epochs would flatten the differences at the end, which are what one looks for.
        span = max(max(settled) - min(settled), 1.0)
        values = [max(0.0, min(settled) - 0.15 * span), min(100.0, max(settled) + 0.3 * span)]
    up = around(values, *plot.y, log=log, margin=0.03)
    epochs = [epoch for curve in (*thick, *thin) for epoch in curve.epochs]
    across = around(epochs, *plot.x, margin=0.01 if max(epochs) > 20 else 0.05)
    plot.up(up, label)
    plot.across(
        across, "epoch", sorted({round(tick) for tick in across.ticks(6) if min(epochs) <= round(tick) <= max(epochs)})
    )
    inside = [_line(curve, across, up, 1.0, banded=False) for curve in thin]
    inside += [_line(curve, across, up, 2.4, banded=True) for curve in thick]
    left, right, top, bottom = *plot.x, plot.y[1], plot.y[0]
    wide, high = right - left, bottom - top
    view = f"{left:.1f} {top:.1f} {wide:.1f} {high:.1f}"
    plot.add(element("svg", *inside, x=left, y=top, width=wide, height=high, viewBox=view))
    return plot.svg(f"{label} by epoch of {', '.join(curve.role for curve in thick)}.")


def _line(curve: _Curve, across: Scale, up: Scale, width: float, *, banded: bool) -> Markup:
    places = [(across(epoch), up(value)) for epoch, value in zip(curve.epochs, curve.mean, strict=True)]
    parts: list[str] = []
    if banded and any(high > low for low, high in zip(curve.low, curve.high, strict=True)):
        lower, upper = (
            [(x, up(value)) for (x, _), value in zip(places, values, strict=True)] for values in (curve.low, curve.high)
        )
        parts.append(band(curve.look, lower, upper))
    parts.append(line(curve.look, places, width))
    if len(places) < 3:
        parts += [dot(curve.look, place, 4) for place in places]
    measure = _NAMES.get(curve.column, curve.column)
    return group(*parts, tip=f"{curve.role}, {measure}: {curve.mean[-1]:.4g} after epoch {curve.epochs[-1]:g}")
