"""The report as one page of HTML that needs no network: the answer, its figures, and every number behind it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from itertools import combinations
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from distill.results.collect import Collected
from distill.results.columns import COLUMNS
from distill.results.html import answer, keys, tables
from distill.results.html.environments import command, environments
from distill.results.html.evidence import Evidence, read
from distill.results.html.figures.calibration import calibration
from distill.results.html.figures.confusion import confusion
from distill.results.html.figures.figure import Figure
from distill.results.html.figures.heatmap import heatmap
from distill.results.html.figures.learning import learning
from distill.results.html.figures.means import means
from distill.results.html.figures.paired import paired
from distill.results.html.figures.pareto import pareto
from distill.results.html.figures.per_class import per_class
from distill.results.html.figures.swept import swept
from distill.results.html.phrases import leader, name, unbroken
from distill.results.html.table import FIRST
from distill.results.study import Study

_ASSETS = Path(__file__).parent / "assets"
_KEYS = 4  # numeric keys that get a curve
_GRIDS = 3


def page(found: Collected, outcome: Study) -> str:
    """The report of a number of runs.

    Args:
        found: The runs.
        outcome: What they show together.

    Returns:
        A whole document; it asks for nothing over the network.
    """
    best = leader(outcome)
    evidence = read(found, best)
    sections = [(title, note, figures) for title, note, figures in _sections(outcome, evidence) if figures]
    settings = tables.settings(outcome) if len(found.runs) > 1 else None  # those of one run are its networks
    every = [one for one in (settings, tables.networks(found)) if one is not None]
    data = {
        "figures": {one.name: one.data for _, _, figures in sections for one in figures},
        "tables": [one.packed() for one in every],
        "runs": environments(found),
    }
    style, script = ((_ASSETS / asset).read_text(encoding="utf-8") for asset in ("page.css", "page.js"))
    headline, explanation = answer.headline(outcome.sentence)
    environment = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["unbroken"] = unbroken
    return environment.get_template("page.html").render(
        style=Markup(style),
        script=Markup(script),
        # Whatever else came to stand in the page as a script would not run.
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=_embedded(data),
        title=answer.title(found),
        headline=headline,
        explanation=explanation,
        winner=name(best) if best is not None and len(outcome.students) > 1 else "",
        numbers=answer.numbers(outcome),
        cautions=answer.cautions(found, outcome),
        compared=answer.compared(found, outcome),
        failures=answer.failures(found),
        sections=sections,
        tables=every,
        commands=[(run["run"], command(run)) for run in found.runs[:FIRST]],
        runs=len(found.runs),
        columns=[column for column in COLUMNS.values() if column.name in found.rows and found.rows[column.name].any()],
    )


def _embedded(data: Any) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _sections(outcome: Study, evidence: Evidence) -> list[tuple[str, str, list[Figure]]]:
    """The figures in the order of the questions they answer: title, what it is about, figures."""
    if "dataset" in outcome.keys:
        return []  # accuracies on several data sets do not compare
    several = len(outcome.students) > 1
    swept_keys = keys.numeric(outcome)
    grids = [heatmap(outcome, *pair) for pair in list(combinations(swept_keys, 2))[:_GRIDS]]
    chosen = leader(outcome)
    about = f"Of the runs with {name(chosen)}." if several and chosen is not None else ""
    sections = [
        ("Who is ahead", "", [means(outcome), paired(outcome)]),
        (
            f"{outcome.measure.title.capitalize()} and cost",
            "",
            [pareto(outcome, column) for column in ("params", "latency_ms")],
        ),
        ("Effect of the settings", "", [*(swept(outcome, key) for key in swept_keys[:_KEYS]), *grids]),
        ("Learning", about, learning(evidence)),
        ("Calibration", about, [calibration(evidence)]),
        ("Errors", about, [*(confusion(evidence, role) for role in ("baseline", "teacher")), per_class(evidence)]),
    ]
    return [(title, note, [one for one in figures if one is not None]) for title, note, figures in sections]
