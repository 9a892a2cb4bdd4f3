"""Accuracy against what a network costs, and which networks no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from distill.results.columns import COLUMNS, shown
from distill.results.html.averages import averages
from distill.results.html.drawing.look import of_role
from distill.results.html.drawing.marks import Entry, Legend, dot, group, named
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import around
from distill.results.html.drawing.svg import element, points
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import leader, name, percent
from distill.results.study import Group, Study

_MOST = 60
_SAME = ["model", "dataset", "precision", "device"]
_WORDS = {"params": ("parameters", "fewer"), "latency_ms": ("latency", "less")}


@dataclass(frozen=True, eq=False)
class _Point:
    cost: float
    accuracy: float
    group: Group


def pareto(outcome: Study, column: str) -> Figure | None:
    """Accuracy over one cost.

    Args:
        outcome: The study.
        column: The cost: `params` or `latency_ms`.
    """
    known = sorted(_points(outcome.groups, column), key=lambda one: (one.cost, -one.accuracy))
    if len({one.cost for one in known}) < 2:
        return None
    front = _front(known)
    best = leader(outcome)
    kept = sorted(known, key=lambda one: (one not in front, one.group.role == "student", -one.accuracy))[:_MOST]
    label = _WORDS[column][0]
    unit = f" ({COLUMNS[column].unit})" if COLUMNS[column].unit else ""
    return figure(
        f"{outcome.measure.name}-{label}",
        f"{outcome.measure.title.capitalize()} against {label}",
        _caption(front, column),
        lambda width: _drawn(kept, front, best, column, (f"{label}{unit}, log scale", outcome.measure.title), width),
        ["role", "model", "setting", f"{label}{unit}", f"{outcome.measure.name}_%", "on_front"],
        [
            (one.group.role, one.group.model, one.group.label, one.cost, 100 * one.accuracy, one in front)
            for one in known
        ],
    )


def _points(groups: Sequence[Group], column: str) -> list[_Point]:
    """Networks of one architecture cost the same; what measured times of theirs differ by is noise."""
    if not groups:
        return []
    measured = averages(groups, list(dict.fromkeys(["params", column])), _SAME)
    costs = measured.groupby([*_SAME, "params"], dropna=False)[column].transform("median")
    return [
        _Point(cost, one.accuracy.mean, one)
        for cost, one in zip(costs.tolist(), groups, strict=True)
        if cost > 0 and not math.isnan(one.accuracy.mean)
    ]


def _front(known: Sequence[_Point]) -> list[_Point]:
    """Those that are better than everything as cheap; `known` ascends in cost, and falls in accuracy at equal cost."""
    front: list[_Point] = []
    for one in known:
        if not front or one.accuracy > front[-1].accuracy:
            front.append(one)
    return front


def _caption(front: Sequence[_Point], column: str) -> str:
    label, less = _WORDS[column]
    told = "; ".join(_told(one, column) for one in front[:3])
    more = f"; and {len(front) - 3} more" if len(front) > 3 else ""
    return f"The Pareto front (dashed): nothing with {less} {label} does better. On it: {told}{more}."


def _told(one: _Point, column: str) -> str:
    unit = COLUMNS[column].unit or _WORDS[column][0]
    return f"{name(one.group)}, {percent(one.accuracy)} with {shown(column, one.cost)} {unit}"


def _drawn(
    known: Sequence[_Point],
    front: Sequence[_Point],
    best: Group | None,
    column: str,
    labels: tuple[str, str],
    width: float,
) -> Markup:
    roles = dict.fromkeys(one.group.role for one in known)
    legend = Legend([Entry(of_role(role), role) for role in roles], width - 60)
    plot = Plot(width, 310 + legend.height, top=legend.height + 14, left=54)
    plot.legend(legend)
    across = around([one.cost for one in known], *plot.x, log=True, margin=0.1)
    up = around([100 * one.accuracy for one in known], *plot.y, margin=0.12)
    plot.up(up, f"test {labels[1]} (%)")
    plot.across(across, labels[0])

    def place(one: _Point) -> tuple[float, float]:
        return across(one.cost), up(100 * one.accuracy)

    steps = [place(front[0])]
    for one in front[1:]:
        steps += [(place(one)[0], steps[-1][1]), place(one)]
    plot.add(element("polyline", class_="front", points=points([*steps, (plot.x[1], steps[-1][1])])))
    for one in sorted(known, key=lambda each: (each.group.role != "student", each in front, each.group is best)):
        faint = one.group.role == "student" and one.group is not best and one not in front
        tip = _told(one, column) + (", on the front" if one in front else "")
        plot.add(group(dot(of_role(one.group.role), place(one), 4.0 if faint else 6.0, hollow=faint), tip=tip))
    told = [one for one in known if one in front or one.group is best or one.group.role != "student"]
    told.sort(key=lambda each: (each.group is not best, each not in front))
    area = (plot.x[0], plot.y[1] - 6, plot.x[1] + 10, plot.y[0])
    plot.add(named([(place(one), name(one.group)) for one in told], [place(one) for one in known], area))
    what = f"Test {labels[1]} over {labels[0]}"
    return plot.svg(f"{what}: {len(front)} of {len(known)} networks are on the Pareto front.")
