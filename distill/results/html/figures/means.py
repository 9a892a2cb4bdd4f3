"""Mean accuracy of every setting with its interval, beside baseline and teacher."""

from __future__ import annotations

from markupsafe import Markup

from distill.results.html.drawing.look import SMALL, TEXT, fits, of_role
from distill.results.html.drawing.marks import dot, group, rule, whisker, words
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import Scale, around, beyond
from distill.results.html.drawing.svg import element, shortened
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import ends, interval, name, percent, seeds, sole
from distill.results.study import Group, Study

_MOST = 30


def means(outcome: Study) -> Figure | None:
    """The settings, best first, with baseline and teacher among them."""
    settings = sorted(outcome.students, key=lambda one: -one.accuracy.mean)
    if not settings:
        return None
    others = [one for one in outcome.groups if one.role != "student"]
    shown = settings[:_MOST]
    if outcome.winner is not None and all(one is not outcome.winner for one in shown):
        shown[-1] = outcome.winner  # chosen on validation examples, it need not be among the best on test
    shown = sorted([*shown, *others[:6]], key=lambda one: -one.accuracy.mean)
    header = ["role", "model", "setting", "seeds", f"{outcome.measure.name}_%", "low_%", "high_%", "gain_points"]
    rows = [
        (
            one.role,
            one.model,
            one.label,
            one.accuracy.n,
            100 * one.accuracy.mean,
            100 * one.accuracy.low,
            100 * one.accuracy.high,
            one.gain.mean if one.gain else None,
        )
        for one in [*others, *settings]
    ]
    title = f"Test {outcome.measure.title}{' of every setting' if len(settings) > 1 else ''}"
    caption = _caption(settings, others)
    return figure(
        outcome.measure.name, title, caption, lambda width: _drawn(outcome, shown, width), header, rows, full=True
    )


def _caption(settings: list[Group], others: list[Group]) -> str:
    several = any(one.accuracy.n > 1 for one in (*settings, *others))
    what = "Dots are means over seeds, lines their 95 % intervals." if several else "One run each: no intervals."
    gains = [one.gain for one in settings if one.gain is not None and one.gain.n]
    if not gains:
        return what
    above = sum(gain.mean > 0 for gain in gains)
    sure = sum(gain.low > 0 for gain in gains)
    if len(gains) == 1:
        said = f"The student is {'above' if above else 'not above'} its baseline."
    else:
        said = f"{above:,} of {len(gains):,} settings are above their baseline on average"
        said += f", {sure:,} of them with a paired interval above zero." if several else "."
    left = f" Shown are the best {_MOST} and the winner; the table below has all." if len(settings) > _MOST else ""
    return f"{said} {what}{left}"


def _drawn(outcome: Study, shown: list[Group], width: float) -> Markup:
    narrow = width < 400
    names = [name(one) for one in shown]
    values = [f"{100 * one.accuracy.mean:.2f}" for one in shown]
    if not narrow:
        values = [f"{value} {interval(one.accuracy, 100)}".strip() for value, one in zip(values, shown, strict=True)]
    left = 14.0 if narrow else min(fits(names) + 18, 320.0)
    step = 40.0 if narrow else 27.0
    plot = Plot(width, 26 + step * len(shown) + 44, left=left, right=fits(values) + 13, top=26, bottom=44)
    near = [one for one in shown if not _is_far(one, shown)]
    scale = around([100 * end for one in near for end in ends(one.accuracy)], *plot.x, margin=0.05)
    plot.across(scale, f"test {outcome.measure.title} (%)", grid=True)
    references = [sole(outcome, role) for role in ("baseline", "teacher")]
    _references(plot, [one for one in references if one is not None and not _is_far(one, shown)], scale)
    for row, one in enumerate(shown):
        top = plot.top + step * row
        middle = top + step * (0.7 if narrow else 0.5)
        won = one is outcome.winner and len(outcome.students) > 1
        weight = "label strong" if won else "label"
        hit = element("rect", class_="hit", x=0.0, y=top, width=width, height=step)
        mark = _off_scale(plot, one, middle, scale) if _is_far(one, shown) else _mark(one, middle, scale, won=won)
        if narrow:
            text = shortened(names[row] + (" · winner" if won else ""), width - plot.right, SMALL)
            label = words(text, (2, middle - 13), f"{weight} halo", size=SMALL)
        else:
            label = words(shortened(names[row], left - 18, TEXT), (left - 12, middle + 4), weight, anchor="end")
        value = words(values[row], (width, middle + 4), weight, anchor="end")
        plot.add(group(hit, mark, label, value, tip=_tip(one)))
    what = f"Mean test {outcome.measure.title} with 95 % intervals of {len(shown)} networks"
    return plot.svg(f"{what}; {names[0]} is highest.")


def _is_far(one: Group, shown: list[Group]) -> bool:
    """Whether it is a teacher so much better or worse than the others that those could not be told apart beside it."""
    others = [100 * end for other in shown if other.role != "teacher" for end in ends(other.accuracy)]
    return one.role == "teacher" and len(shown) > 3 and beyond(100 * one.accuracy.mean, others)


def _mark(one: Group, middle: float, scale: Scale, *, won: bool) -> Markup:
    low, high = ends(one.accuracy)
    look = of_role(one.role)
    return group(
        whisker(look, scale(100 * low), scale(100 * high), middle, 3.0 if won else 2.0),
        dot(look, (scale(100 * one.accuracy.mean), middle), 6.5 if won else 5.0),
    )


def _off_scale(plot: Plot, one: Group, middle: float, scale: Scale) -> Markup:
    if 100 * one.accuracy.mean > scale.high:
        return words("off the scale →", (plot.x[1], middle + 4), "tick", anchor="end", size=SMALL)
    return words("← off the scale", (plot.x[0], middle + 4), "tick", size=SMALL)


def _references(plot: Plot, references: list[Group], scale: Scale) -> None:
    placed: list[float] = []
    for one in references:
        at = scale(100 * one.accuracy.mean)
        plot.add(rule((at, plot.y[0]), (at, plot.y[1] - 6), f"reference {of_role(one.role).colour} {one.role}"))
        anchor = "end" if at > plot.x[1] - 30 else None if at < plot.x[0] + 30 else "middle"
        if all(abs(at - other) > 70 for other in placed):
            plot.add(words(one.role, (at, plot.y[1] - 11), "label", anchor=anchor, size=SMALL))
            placed.append(at)


def _tip(one: Group) -> str:
    told = f"{name(one)}: {percent(one.accuracy.mean)}"
    spread = interval(one.accuracy, 100)
    told += f" {spread}, standard deviation {100 * one.accuracy.std:.2f}" if spread else ""
    return f"{told}, {seeds(one.accuracy.n)}"
