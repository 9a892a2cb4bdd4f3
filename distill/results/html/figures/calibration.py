"""Reliability diagrams: whether a network is right as often as it is sure, raw and after temperature scaling."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from distill.results.html.drawing.look import SMALL, Look, of_role
from distill.results.html.drawing.marks import Entry, Legend, dot, group, line, rule, words
from distill.results.html.drawing.plot import Plot
from distill.results.html.drawing.scales import Scale
from distill.results.html.evidence import ROLES, Evidence
from distill.results.html.figures.figure import Figure, figure

_Bin = tuple[float, float, float]  # examples, mean confidence 0..1, accuracy 0..1
_KINDS = {"raw": "ece", "scaled": "ece_scaled"}
_GAP = 26.0


def calibration(evidence: Evidence) -> Figure | None:
    """A diagram per role, those of all seeds together."""
    panels = {role: {kind: _bins(evidence, role, kind) for kind in _KINDS} for role in ROLES}
    panels = {role: kinds for role, kinds in panels.items() if kinds["raw"]}
    if not panels:
        return None
    return figure(
        "calibration",
        "Reliability diagrams",
        _caption(evidence, list(panels)),
        lambda width: _drawn(evidence, panels, width),
        ["role", "probabilities", "examples", "confidence", "accuracy"],
        [(role, kind, *one) for role, kinds in panels.items() for kind, bins in kinds.items() for one in bins],
        full=True,
    )


def _bins(evidence: Evidence, role: str, kind: str) -> list[_Bin]:
    """The bins of all runs joined: sums of examples, means of the rest weighted by them."""
    joined: dict[int, list[float]] = {}
    for network in evidence.networks.get(role, []):
        bins: list[Any] = (network.get("reliability") or {}).get(kind) or []
        for place, (count, confidence, accuracy) in enumerate(bins):
            if count:
                total = joined.setdefault(place, [0.0, 0.0, 0.0])
                for part, value in enumerate((1, confidence, accuracy)):
                    total[part] += count * value
    return [(count, sure / count, right / count) for _, (count, sure, right) in sorted(joined.items())]


def _caption(evidence: Evidence, roles: list[str]) -> str:
    told = []
    for role in roles:
        raw, scaled = (evidence.mean(role, column) for column in _KINDS.values())
        if not math.isnan(raw):
            after = "" if math.isnan(scaled) else f", {100 * scaled:.1f} % with temperature scaling"
            told.append(f"{role} {100 * raw:.1f} %{after}")
    error = f"Expected calibration error: {'; '.join(told)}. " if told else ""
    return f"{error}On the diagonal a network is right as often as it is sure; below it, it is too sure."


def _drawn(evidence: Evidence, panels: dict[str, dict[str, list[_Bin]]], width: float) -> Markup:
    several = width > 400
    scaled = any(kinds["scaled"] for kinds in panels.values())
    role_looks = [of_role(role) for role in panels]
    entries = [Entry(role_looks[-1], "raw; area: examples")]
    entries += [Entry(Look(role_looks[-1].colour, role_looks[-1].shape, "4 3"), "temperature-scaled", "hollow")]
    legend = Legend(entries if scaled else entries[:1], width - 20)
    side = (width - 52 - 14 - 2 * _GAP) / 3 if several else width - 66
    high = legend.height + 30 + side + 46
    tall = high if several else legend.height + len(panels) * (side + 82)
    sheet = Plot(width, tall, left=52, top=legend.height + 30)
    sheet.legend(legend)
    for number, (role, kinds) in enumerate(panels.items()):
        left = 52 + (side + _GAP) * number if several else 52.0
        top = sheet.top + (0 if several else (side + 82) * number)
        panel = Plot(left + side, top + side, left=left, right=0, top=top, bottom=0, parts=sheet.parts)
        _panel(panel, evidence, role, kinds, labelled=number == 0 or not several)
    return sheet.svg(f"Reliability diagrams of {', '.join(panels)}.")


def _panel(plot: Plot, evidence: Evidence, role: str, kinds: dict[str, list[_Bin]], *, labelled: bool) -> None:
    across, up = Scale(0, 100, *plot.x), Scale(0, 100, *plot.y)
    ticks = [0, 25, 50, 75, 100]
    for tick in ticks:
        plot.add(rule((plot.x[0], up(tick)), (plot.x[1], up(tick)), "grid"))
        if labelled:
            plot.add(words(str(tick), (plot.x[0] - 7, up(tick) + 4), "tick", anchor="end", size=SMALL))
    plot.across(across, "confidence (%)", ticks)
    if labelled:
        plot.add(words("accuracy (%)", (13, sum(plot.y) / 2), "title", anchor="middle", turned=True))
    plot.add(rule((across(0), up(0)), (across(100), up(100)), "diagonal"))
    plot.add(words(role, (plot.x[0], plot.y[1] - 9), "label strong"))
    ece, after = (evidence.mean(role, column) for column in _KINDS.values())
    if not math.isnan(ece):
        told = f"ECE {100 * ece:.1f} %" if math.isnan(after) else f"ECE {100 * ece:.1f} → {100 * after:.1f} %"
        plot.add(words(told, (plot.x[1], plot.y[1] - 9), "label", anchor="end", size=SMALL))
    look = of_role(role)
    total = sum(count for count, _, _ in kinds["raw"])
    for kind, bins in kinds.items():
        dashed = Look(look.colour, look.shape, None if kind == "raw" else "4 3")
        plot.add(line(dashed, [(across(100 * sure), up(100 * right)) for _, sure, right in bins], 1.6))
        for count, sure, right in bins:
            size = 2.5 + 7 * math.sqrt(count / total) if kind == "raw" else 3.5
            mark = dot(dashed, (across(100 * sure), up(100 * right)), size, hollow=kind == "scaled")
            tip = f"{role}, {kind}: {100 * sure:.1f} % sure, {100 * right:.1f} % right, {count:,.0f} examples"
            plot.add(group(mark, tip=tip))
