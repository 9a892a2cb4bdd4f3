"""Accuracy along one numeric key of a sweep, with bands."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from distill.results.columns import shown
from distill.results.html import keys
from distill.results.html.drawing.look import ROLES, SERIES, Look
from distill.results.html.drawing.marks import Entry, Legend, band, dot, group, line
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import Scale, around, beyond, is_geometric
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import ends, interval, percent, points, seeds, sole
from distill.results.study import Group, Study


@dataclass(frozen=True)
class _Line:
    name: str
    along: list[tuple[float, Group]]

    @property
    def best(self) -> tuple[float, Group]:
        return max(self.along, key=lambda one: one[1].accuracy.mean)


def swept(outcome: Study, key: str) -> Figure | None:
    """Accuracy over one key; every setting of the other keys is a line.

    Args:
        outcome: The study.
        key: One that holds numbers.
    """
    lines = _lines(outcome, key)
    if not lines:
        return None
    drawn = lines[: len(SERIES)]
    several = any(one.accuracy.n > 1 for each in drawn for _, one in each.along)
    caption = _caption(drawn[0], key)
    if len(lines) > len(drawn):
        caption += f" Shown are the {len(drawn)} best of {len(lines)} lines."
    caption += " Bands are 95 % intervals of the mean." if several else ""
    return figure(
        f"{outcome.measure.name}-by-{key}",
        f"{outcome.measure.title.capitalize()} by {keys.title(key)}",
        caption,
        lambda width: _drawn(outcome, drawn, key, width),
        [key, "other keys", "seeds", f"{outcome.measure.name}_%", "low_%", "high_%"],
        [
            (at, each.name, one.accuracy.n, 100 * one.accuracy.mean, 100 * one.accuracy.low, 100 * one.accuracy.high)
            for each in lines
            for at, one in each.along
        ],
    )


def _lines(outcome: Study, key: str) -> list[_Line]:
    """The lines that have two points at least, that with the winner first, then by the best they reach."""
    along: dict[str, list[tuple[float, Group]]] = {}
    for one in outcome.students:
        at = keys.value(one, key)
        if at is not None:
            along.setdefault(keys.rest(one, [key]), []).append((at, one))
    lines = [_Line(name, sorted(own, key=lambda each: each[0])) for name, own in along.items() if len(own) > 1]

    def rank(each: _Line) -> tuple[bool, float]:
        return all(one is not outcome.winner for _, one in each.along), -each.best[1].accuracy.mean

    return sorted(lines, key=rank)


def _caption(best: _Line, key: str) -> str:
    at, group = best.best
    reached = [one.accuracy.mean for _, one in best.along]
    span = points(100 * (max(reached) - min(reached))).removeprefix("+")
    where = f" at {best.name}" if best.name else ""
    return (
        f"Highest{where}: {percent(group.accuracy.mean)} at {key}={shown(key, at)}; "
        f"over all values of {key} there the means span {span} points."
    )


def _drawn(outcome: Study, lines: list[_Line], key: str, width: float) -> Markup:
    looks = dict(zip((each.name for each in lines), SERIES, strict=False))
    heights = [100 * height for each in lines for _, one in each.along for height in ends(one.accuracy)]
    references = [(role, one) for role in ("teacher", "baseline") if (one := sole(outcome, role)) is not None]
    far = [role for role, one in references if beyond(100 * one.accuracy.mean, heights)]
    entries = [Entry(looks[each.name], each.name or "student", "line") for each in lines]
    entries += [
        Entry(ROLES[role], f"{role} {percent(one.accuracy.mean)}, off the scale" if role in far else role, "bare")
        for role, one in references
    ]
    references = [(role, one) for role, one in references if role not in far]
    legend = Legend(entries, width - (20 if width < 400 else 60))
    plot = Plot(width, 300 + legend.height, top=legend.height + 12, left=54)
    plot.legend(legend)
    at = sorted({value for each in lines for value, _ in each.along})
    across = around(at, *plot.x, log=is_geometric(at), margin=0.05)
    up = around([*heights, *(100 * one.accuracy.mean for _, one in references)], *plot.y)
    plot.up(up, f"test {outcome.measure.title} (%)")
    plot.across(across, keys.title(key), at if len(at) <= 10 else None)
    for role, one in references:
        height = up(100 * one.accuracy.mean)
        tip = f"{role}: {percent(one.accuracy.mean)} {interval(one.accuracy, 100)}".strip()
        plot.add(group(line(ROLES[role], [(plot.x[0], height), (plot.x[1], height)], 1.8), tip=tip))
    for each in reversed(lines):
        _line(plot, each, looks[each.name], across, up, key)
    named = f", a line for each of {len(lines)} settings" if len(lines) > 1 else ""
    return plot.svg(f"Mean test {outcome.measure.title} over {keys.title(key)}{named}.")


def _line(plot: Plot, each: _Line, look: Look, across: Scale, up: Scale, key: str) -> None:
    spans = [(across(at), *ends(one.accuracy)) for at, one in each.along]
    if any(high > low for _, low, high in spans):
        lower, upper = ([(x, up(100 * pair[side])) for x, *pair in spans] for side in (0, 1))
        plot.add(band(look, lower, upper))
    path = [(across(at), up(100 * one.accuracy.mean)) for at, one in each.along]
    plot.add(line(look, path, 2.2))
    for (at, one), place in zip(each.along, path, strict=True):
        other = f", {each.name}" if each.name else ""
        spread = interval(one.accuracy, 100)
        tip = f"{key}={shown(key, at)}{other}: {percent(one.accuracy.mean)} {spread}".strip()
        plot.add(group(dot(look, place, 4.5), tip=f"{tip}, {seeds(one.accuracy.n)}"))
