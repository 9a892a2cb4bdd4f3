"""Accuracy over two numeric keys of a sweep as a heat map."""

from __future__ import annotations

from markupsafe import Markup

from distill.results.columns import shown
from distill.results.html import keys
from distill.results.html.drawing.marks import group, words
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import tick_labels
from distill.results.html.drawing.svg import element
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import interval, leader, percent, points, seeds
from distill.results.study import Group, Study

_LEVELS = 9  # of colour, as many as the style sheet has


def heatmap(outcome: Study, across: str, up: str) -> Figure | None:
    """Accuracy over a grid of two keys, the other ones as the winner has them.

    Args:
        outcome: The study.
        across: Key of the columns.
        up: Key of the rows.
    """
    best = leader(outcome)
    if best is None:
        return None
    fixed = keys.rest(best, [across, up])
    cells = {
        (x, y): one
        for one in outcome.students
        if keys.rest(one, [across, up]) == fixed
        and (x := keys.value(one, across)) is not None
        and (y := keys.value(one, up)) is not None
    }
    columns, rows = sorted({x for x, _ in cells}), sorted({y for _, y in cells})
    if len(columns) < 2 or len(rows) < 2 or len(columns) * len(rows) > 600:
        return None
    where = f" ({fixed})" if fixed else ""
    return figure(
        f"{outcome.measure.name}-by-{across}-and-{up}",
        f"{outcome.measure.title.capitalize()} by {across} and {up}{where}",
        _caption(cells, across, up),
        lambda width: _drawn(cells, columns, rows, (across, up), outcome, width),
        [across, up, "seeds", f"{outcome.measure.name}_%", "gain_points"],
        [
            (x, y, one.accuracy.n, 100 * one.accuracy.mean, one.gain.mean if one.gain else None)
            for (x, y), one in sorted(cells.items())
        ],
    )


def _caption(cells: dict[tuple[float, float], Group], across: str, up: str) -> str:
    ranked = sorted(cells.items(), key=lambda each: each[1].accuracy.mean)
    (low, worst), (high, best) = ranked[0], ranked[-1]
    gain = " The smaller number is the gain over the baseline in points." if best.gain else ""
    return (
        f"From {percent(worst.accuracy.mean)} at {_place(low, across, up)} "
        f"to {percent(best.accuracy.mean)} at {_place(high, across, up)}.{gain}"
    )


def _place(at: tuple[float, float], across: str, up: str) -> str:
    return f"{across}={shown(across, at[0])}, {up}={shown(up, at[1])}"


def _drawn(
    cells: dict[tuple[float, float], Group],
    columns: list[float],
    rows: list[float],
    axes: tuple[str, str],
    outcome: Study,
    width: float,
) -> Markup:
    wide = (width - 62) / len(columns)
    high = min(max(wide * 0.72, 34.0), 58.0)
    plot = Plot(width, high * len(rows) + 56, left=58, right=4, top=6, bottom=50)
    reached = [one.accuracy.mean for one in cells.values()]
    least, most = min(reached), max(reached)
    for i, y in enumerate(rows):
        top = plot.y[0] - high * (i + 1)
        plot.add(words(tick_labels([y])[0], (plot.left - 8, top + high / 2 + 4), "tick", anchor="end"))
        for j, x in enumerate(columns):
            one = cells.get((x, y))
            if one is not None:
                level = round((_LEVELS - 1) * (one.accuracy.mean - least) / (most - least)) if most > least else 4
                place = (plot.left + wide * j, top)
                plot.add(_cell(one, level, place, (wide, high), _place((x, y), *axes), won=one is outcome.winner))
    for j, x in enumerate(columns):
        if wide > 26 or j % 2 == 0:
            middle = plot.left + wide * (j + 0.5)
            plot.add(words(tick_labels([x])[0], (middle, plot.y[0] + 17), "tick", anchor="middle"))
    plot.add(words(keys.title(axes[0]), (sum(plot.x) / 2, plot.y[0] + 38), "title", anchor="middle"))
    plot.add(words(axes[1], (14, sum(plot.y) / 2), "title", anchor="middle", turned=True))
    return plot.svg(f"Heat map of mean test {outcome.measure.title} over {axes[0]} and {axes[1]}.")


def _cell(
    one: Group, level: int, at: tuple[float, float], size: tuple[float, float], where: str, *, won: bool
) -> Markup:
    (x, y), (wide, high) = at, size
    middle, centre = x + wide / 2, y + high / 2
    gain = one.gain.mean if one.gain is not None and one.gain.n else None
    tip = f"{where}: {percent(one.accuracy.mean)} {interval(one.accuracy, 100)}".strip()
    tip += f", gain {points(gain)} points" if gain is not None else ""
    parts = [
        element("rect", class_=f"heat-{level}", x=x + 1, y=y + 1, width=wide - 2, height=high - 2, rx=3),
    ]
    if won:
        parts.append(element("rect", class_="won", x=x + 2.5, y=y + 2.5, width=wide - 5, height=high - 5, rx=2.5))
    ink = f"on-heat-{level}"
    if wide >= 36:
        reached = f"{100 * one.accuracy.mean:.{2 if wide >= 48 else 1}f}"
        lift = 0 if gain is not None else 5
        parts.append(words(reached, (middle, centre - 1 + lift), f"{ink} strong", anchor="middle"))
        if gain is not None:
            parts.append(words(points(gain), (middle, centre + 14), ink, anchor="middle", size=10.5))
    return group(*parts, tip=f"{tip}, {seeds(one.accuracy.n)}" + (", the winner" if won else ""))
