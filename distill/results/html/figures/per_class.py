"""Accuracy class by class: what each gains or loses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from distill.results.html.drawing.look import ROLES, SMALL, fits
from distill.results.html.drawing.marks import Entry, Legend, dot, group, rule, words
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import around
from distill.results.html.drawing.svg import shortened
from distill.results.html.evidence import Evidence
from distill.results.html.figures.figure import Figure, figure
from distill.results.html.phrases import points

_MOST = 24


@dataclass(frozen=True)
class _Class:
    name: str
    tests: int
    baseline: float
    student: float
    teacher: float

    @property
    def change(self) -> float:
        return 100 * (self.student - self.baseline)


def per_class(evidence: Evidence) -> Figure | None:
    """Accuracy of baseline, student and teacher in each class, by what it changed."""
    by_role = {role: evidence.class_accuracy(role) for role in ROLES}
    if not by_role["student"] or not by_role["baseline"]:
        return None
    nobody = [math.nan] * len(evidence.classes)
    tests = evidence.tests if len(evidence.tests) == len(evidence.classes) else [0] * len(evidence.classes)
    columns = (by_role["baseline"], by_role["student"], by_role["teacher"] or nobody)
    found = [_Class(*cells) for cells in zip(evidence.classes, tests, *columns, strict=True)]
    known = sorted((one for one in found if not math.isnan(one.change)), key=lambda one: -one.change)
    if not known:
        return None
    shown = known if len(known) <= _MOST else [*known[: _MOST // 2], *known[-_MOST // 2 :]]
    left_out = f" The {len(shown)} of {len(known)} classes that changed most." if len(shown) < len(known) else ""
    return figure(
        "classes",
        "Accuracy by class",
        _caption(known) + left_out,
        lambda width: _drawn(shown, width),
        ["class", "test_examples", "baseline_%", "student_%", "teacher_%", "change_points"],
        [(one.name, one.tests, 100 * one.baseline, 100 * one.student, 100 * one.teacher, one.change) for one in known],
        full=True,
    )


def _caption(known: list[_Class]) -> str:
    best, worst = known[0], known[-1]
    told = f"{sum(one.change > 0 for one in known)} of {len(known)} classes gain over the baseline"
    if best.change > 0:
        told += f", most of all {best.name} ({points(best.change)} points)"
    if worst.change < 0:
        told += f"; {worst.name} loses most ({points(worst.change)})"
    fewest = min(one.tests for one in known)
    one_example = f" One example of the smallest class is worth {100 / fewest:.1f} points in a run." if fewest else ""
    return f"{told}.{one_example}"


def _drawn(shown: list[_Class], width: float) -> Markup:
    entries = [Entry(ROLES["baseline"], "baseline"), Entry(ROLES["student"], "student")]
    with_teacher = any(not math.isnan(one.teacher) for one in shown)
    legend = Legend([*entries, Entry(ROLES["teacher"], "teacher", "hollow")] if with_teacher else entries, width - 90)
    names = [one.name for one in shown]
    left = min(fits(names) + 18, width * 0.3)
    top = legend.height + 10
    plot = Plot(width, top + 25 * len(shown) + 44, left=left, right=54, top=top, bottom=44)
    plot.add(legend.drawn(left, 2))
    reached = [100 * value for one in shown for value in (one.baseline, one.student, one.teacher) if value == value]
    scale = around(reached, *plot.x, margin=0.05)
    plot.across(scale, "test accuracy in the class (%)", grid=True)
    plot.add(words("change", (width, top - 6), "tick", anchor="end", size=SMALL))
    for row, one in enumerate(shown):
        middle = top + 25 * (row + 0.5)
        ends = [scale(100 * value) for value in (one.baseline, one.student)]
        marks: list[str] = [rule((ends[0], middle), (ends[1], middle), "change")]
        if not math.isnan(one.teacher):
            marks.append(dot(ROLES["teacher"], (scale(100 * one.teacher), middle), 4.2, hollow=True))
        marks += [dot(ROLES[role], (end, middle), 5) for role, end in zip(("baseline", "student"), ends, strict=True)]
        fitting = shortened(one.name, left - 14, 12.5)
        marks.append(words(fitting, (left - 10, middle + 4), "label", anchor="end"))
        marks.append(words(points(one.change), (width, middle + 4), "value label", anchor="end"))
        tip = f"{one.name}: baseline {100 * one.baseline:.1f} %, student {100 * one.student:.1f} %"
        tip += "" if math.isnan(one.teacher) else f", teacher {100 * one.teacher:.1f} %"
        plot.add(group(*marks, tip=f"{tip}, {one.tests:,} test examples" if one.tests else tip))
    return plot.svg(f"Test accuracy of baseline and student in {len(shown)} classes.")
