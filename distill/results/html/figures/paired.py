"""Differences seed by seed: what a p-value was computed of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from distill.results.html.drawing.look import ROLES, SERIES, SMALL, TEXT, fits
from distill.results.html.drawing.marks import Entry, Legend, dot, group, rule, whisker, words
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import around
from distill.results.html.drawing.svg import shortened
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import interval, name, p_value, points, seeds
from distill.results.measures import scores
from distill.results.statistics import Paired, p_shown
from distill.results.study import Group, Study

_MOST, _NEXT = 8, 5
_SEED, _MEAN = ROLES["student"], SERIES[1]


@dataclass(frozen=True)
class _Row:
    name: str
    by_seed: list[tuple[float, float]]  # seed, points
    paired: Paired


def paired(outcome: Study) -> Figure | None:
    """Each seed's difference in every comparison; `None` unless some comparison has two seeds."""
    rows = [row for row in _rows(outcome) if row.paired.n > 1]
    if not rows:
        return None
    return figure(
        "seed-by-seed",
        "Seed by seed",
        _caption(rows[0]),
        lambda width: _drawn(rows[:_MOST], outcome.measure.title, width),
        ["comparison", "seed", "difference_points"],
        [(row.name, f"{seed:.0f}", value) for row in rows for seed, value in row.by_seed],
        full=True,
    )


def _rows(outcome: Study) -> list[_Row]:
    """The winner and those next to it against their baselines, then setting against setting."""
    settings = sorted(outcome.students, key=lambda one: (one is not outcome.winner, -one.accuracy.mean))
    between = [one for one in outcome.comparisons if one.second.role == "student"]
    rows = [
        _Row(f"{name(one)} − baseline", _known(zip(one.rows["seed"], one.rows["gain"], strict=True)), one.gain)
        for one in settings[: 1 if between else _NEXT]
        if one.gain is not None
    ]
    return rows + [
        _Row(f"{name(one.first)} − {name(one.second)}", _differences(one.first, one.second), one.difference)
        for one in between
    ]


def _known(pairs: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(seed, value) for seed, value in pairs if not math.isnan(value)]


def _differences(first: Group, second: Group) -> list[tuple[float, float]]:
    other = dict(zip(second.rows["seed"], scores(second.rows), strict=True))
    own = zip(first.rows["seed"], scores(first.rows), strict=True)
    return [(float(seed), 100 * (value - other[seed])) for seed, value in own if seed in other]


def _caption(row: _Row) -> str:
    p = p_value(row.paired)
    before = "" if row.paired.p == row.paired.adjusted else f" after correction, {p_shown(row.paired.p)} before"
    sure = f", {p} by sign-flip test{before}" if p else ""
    return (
        f"{row.name}: ahead in {row.paired.won} seeds; mean {points(row.paired.mean)} points "
        f"{interval(row.paired, sign=True)}{sure}."
    )


def _drawn(rows: list[_Row], by: str, width: float) -> Markup:
    narrow = width < 400
    values = [f"{points(row.paired.mean)} {interval(row.paired, sign=True)}" for row in rows]
    left = 8.0 if narrow else min(fits([row.name for row in rows]) + 18, 320.0)
    right = 10.0 if narrow else fits(values) + 14
    legend = Legend(
        [Entry(_SEED, "one seed"), Entry(_MEAN, "mean and 95 % interval")], width - (8 if narrow else left + right)
    )
    step = 58.0 if narrow else 44.0
    top = legend.height + 10
    plot = Plot(width, top + step * len(rows) + 44, left=left, right=right, top=top, bottom=44)
    plot.add(legend.drawn(4 if narrow else left, 2))
    ends = [value for row in rows for _, value in row.by_seed] + [row.paired.low for row in rows]
    scale = around([*ends, *(row.paired.high for row in rows), 0.0], *plot.x, margin=0.05)
    plot.across(scale, f"difference in test {by} (points)", grid=True)
    plot.add(rule((scale(0), plot.y[0]), (scale(0), plot.y[1]), "zero"))
    for number, row in enumerate(rows):
        middle = top + step * (number + (0.62 if narrow else 0.5))
        if narrow:
            plot.add(words(shortened(row.name, width - 4, SMALL), (2, middle - 19), "label halo", size=SMALL))
        else:
            plot.add(words(shortened(row.name, left - 18, TEXT), (left - 12, middle + 4), "label", anchor="end"))
            plot.add(words(values[number], (width, middle + 4), "value label", anchor="end"))
        for seed, value in row.by_seed:
            # Level with one another, seeds of one result would hide one another.
            place = (scale(value), middle - 5 + 3.2 * (int(seed) % 3 - 1))
            plot.add(group(dot(_SEED, place, 4.5), tip=f"seed {seed:.0f}: {points(value)} points"))
        mean, below = row.paired, middle + 11
        tip = f"mean {points(mean.mean)} {interval(mean, sign=True)} points, {p_value(mean)}, {seeds(mean.n)}"
        plot.add(
            group(
                whisker(_MEAN, scale(mean.low), scale(mean.high), below, 2.5),
                dot(_MEAN, (scale(mean.mean), below), 5),
                tip=tip,
            )
        )
    return plot.svg(f"Differences in test {by} by seed, {len(rows)} comparisons.")
