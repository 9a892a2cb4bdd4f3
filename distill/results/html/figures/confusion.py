"""Which errors the student makes more or less often than another network."""

from __future__ import annotations

from markupsafe import Markup

from distill.results.html.drawing.look import SMALL, fits
from distill.results.html.drawing.marks import group, rule, words
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import around
from distill.results.html.drawing.svg import element, shortened
from distill.results.html.evidence import Evidence
from distill.results.html.figures.figure import Figure, figure

_CLASSES, _PAIRS = 20, 15
_Errors = dict[tuple[int, int], float]


def confusion(evidence: Evidence, other: str) -> Figure | None:
    """Errors of the student minus those of another role, per run.

    Args:
        evidence: Of the setting.
        other: `baseline` or `teacher`.
    """
    mine, theirs = evidence.errors("student"), evidence.errors(other)
    if mine is None or theirs is None or not evidence.classes:
        return None
    change = {pair: mine.get(pair, 0.0) - theirs.get(pair, 0.0) for pair in {*mine, *theirs}}
    change = {pair: count for pair, count in change.items() if abs(count) > 1e-9}
    if not change:
        return None
    names = evidence.classes
    ranked = sorted(change.items(), key=lambda each: (-abs(each[1]), each[0]))
    grid = len(names) <= _CLASSES
    return figure(
        f"errors-student-{other}",
        f"Errors: student minus {other}",
        _caption(change, names, other) + ("" if grid else f" The {_PAIRS} pairs that changed most."),
        lambda width: _grid(change, names, other, width) if grid else _bars(ranked[:_PAIRS], names, other, width),
        ["true", "predicted", "student", other, "difference"],
        [
            (names[true], names[said], mine.get((true, said), 0.0), theirs.get((true, said), 0.0), count)
            for (true, said), count in ranked
        ],
    )


def _caption(change: _Errors, names: list[str], other: str) -> str:
    total = sum(change.values())
    pair, least = min(change.items(), key=lambda each: each[1])
    worst, most = max(change.items(), key=lambda each: each[1])
    told = f"{abs(total):,.1f} errors {'fewer' if total < 0 else 'more'} per run than the {other}"
    if least < 0:
        told += f"; most saved: {names[pair[0]]} taken for {names[pair[1]]} ({_signed(least)})"
    if most > 0:
        told += f"; most added: {names[worst[0]]} taken for {names[worst[1]]} ({_signed(most)})"
    return f"{told}."


def _signed(count: float) -> str:
    return f"{count:+.{0 if abs(count) >= 9.95 else 1}f}".replace("-", "−")


def _tip(names: list[str], pair: tuple[int, int], count: float, other: str) -> str:
    return f"{names[pair[0]]} taken for {names[pair[1]]}: {_signed(count)} per run against the {other}"


def _grid(change: _Errors, names: list[str], other: str, width: float) -> Markup:
    n = len(names)
    left = min(fits(names, SMALL) + 30, width * 0.28)
    side = (width - left - 4) / n
    turned = fits(names, SMALL) > side - 4
    under = min(fits(names, SMALL), 80.0) + 8 if turned else 18.0
    plot = Plot(width, 4 + side * n + under + 24, left=left, right=4, top=4, bottom=under + 24)
    largest = max(abs(count) for count in change.values())
    for i in range(n):
        middle = plot.top + side * (i + 0.5)
        fitting = shortened(names[i], left - 28, SMALL)
        plot.add(words(fitting, (left - 6, middle + 4), "tick", anchor="end", size=SMALL))
        for j in range(n):
            place = (left + side * j, plot.top + side * i)
            plot.add(
                _cell(
                    change.get((i, j), 0.0),
                    i == j,
                    place,
                    side,
                    largest,
                    _tip(names, (i, j), change.get((i, j), 0.0), other),
                )
            )
        at = left + side * (i + 0.5)
        if turned:
            short = shortened(names[i], 80, SMALL)
            plot.add(words(short, (at + 4, plot.y[0] + 6), "tick", anchor="end", size=SMALL, turned=True))
        else:
            plot.add(words(names[i], (at, plot.y[0] + 15), "tick", anchor="middle", size=SMALL))
    plot.add(words("predicted class", (sum(plot.x) / 2, plot.height - 5), "title", anchor="middle"))
    plot.add(words("true class", (12, sum(plot.y) / 2), "title", anchor="middle", turned=True))
    return plot.svg(f"Errors of the student minus those of the {other}, by true and predicted class.")


def _cell(count: float, right: bool, at: tuple[float, float], side: float, largest: float, tip: str) -> Markup:
    x, y = at
    box = {"x": x + 0.5, "y": y + 0.5, "width": side - 1, "height": side - 1}
    if right or not count:
        return element("rect", class_="cell right" if right else "cell", **box)
    opacity = f"{0.08 + 0.45 * abs(count) / largest:.2f}"
    shade = element("rect", class_="fewer" if count < 0 else "more", fill_opacity=opacity, **box)
    text = _signed(count)
    size = 11.0 if side >= 34 else 9.5
    fits_in = fits([text], size) <= side - 2
    label = [words(text, (x + side / 2, y + side / 2 + 4), "label", anchor="middle", size=size)] if fits_in else []
    return group(shade, *label, tip=tip)


def _bars(ranked: list[tuple[tuple[int, int], float]], names: list[str], other: str, width: float) -> Markup:
    room = width * 0.19
    labels = [" → ".join(shortened(names[number], room, SMALL) for number in pair) for pair, _ in ranked]
    left = fits(labels, SMALL) + 14
    step = 24.0
    plot = Plot(width, 6 + step * len(ranked) + 44, left=left, right=34, top=6, bottom=44)
    scale = around([0.0, *(count for _, count in ranked)], *plot.x, margin=0.08)
    plot.across(scale, f"errors per run against the {other}", grid=True)
    for row, (pair, count) in enumerate(ranked):
        y = plot.top + step * row
        start, end = sorted((scale(0), scale(count)))
        kind = "bar fewer" if count < 0 else "bar more"
        bar = element("rect", class_=kind, x=start, y=y + 4, width=max(end - start, 1), height=step - 8, rx=2)
        outside = (end + 4, None) if count > 0 else (start - 4, "end")
        text = words(labels[row], (left - 8, y + step / 2 + 4), "label", anchor="end", size=SMALL)
        value = words(_signed(count), (outside[0], y + step / 2 + 4), "label halo", anchor=outside[1], size=SMALL)
        plot.add(group(bar, text, value, tip=_tip(names, pair, count, other)))
    plot.add(rule((scale(0), plot.y[0]), (scale(0), plot.y[1]), "zero"))
    return plot.svg(f"The pairs of classes whose errors differ most from those of the {other}.")
