"""What the page opens with: the verdict, the numbers behind it, what was compared, and what to be wary of."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from distill.results.collect import Collected
from distill.results.columns import COLUMNS, missing, shown, size
from distill.results.frame import is_finished, students
from distill.results.html import keys
from distill.results.html.phrases import interval, leader, points, unbroken
from distill.results.statistics import Paired, Summary, p_shown
from distill.results.study import Study

_NAMED, _KEYS = 5, 10


@dataclass(frozen=True)
class Fact:
    """A number of the answer.

    Attributes:
        label: What it is.
        value: It.
        unit: Its unit.
        note: How sure it is, or of what.
    """

    label: str
    value: str
    unit: str = ""
    note: str = ""


def headline(sentence: str) -> tuple[Markup, Markup]:
    """The verdict as its first statement, and the rest; what stands in backticks is code."""
    # A statement ends where a new one begins, not inside of a command.
    first, *rest = re.split(r"(?<=[.;])\s+(?=(?:[^`]*`[^`]*`)*[^`]*$)", sentence, maxsplit=1)
    return _with_code(_sentence(first)), _with_code("".join(_sentence(text) for text in rest))


def _sentence(text: str) -> str:
    text = text.rstrip(";.")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _with_code(text: str) -> Markup:
    parts = re.split(r"`([^`]*)`", unbroken(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def numbers(outcome: Study) -> list[Fact]:
    """Of the winner: accuracy, gain, how sure, how small."""
    best = leader(outcome)
    if best is None:
        return []
    facts = [Fact(f"Test {outcome.measure.title}", f"{100 * best.accuracy.mean:.2f}", "%", _sure(best.accuracy, 100))]
    if best.gain is not None and best.gain.n:
        facts.append(Fact("Gain over the baseline", points(best.gain.mean), "points", _sure(best.gain, sign=True)))
        if best.gain.n > 1:
            p = p_shown(best.gain.adjusted)
            facts.append(Fact("p-value", p or "–", note=f"sign-flip test by seed{_corrected(best.gain)}"))
            facts.append(Fact("Seeds won", best.gain.won, note="against the baseline of the same seed"))
    row = best.rows.iloc[0]
    if not missing(row["compression"]):
        weights = "" if missing(row["size_mb"]) else f", {size(row['size_mb'])}"
        note = f"than the teacher: {shown('params', row['params'])} parameters{weights}"
        facts.append(Fact("Smaller", f"{row['compression']:.1f}×", note=note))
    agreement = best.rows["agreement"].mean()
    if not math.isnan(agreement):
        facts.append(Fact("Agreement", f"{100 * agreement:.1f}", "%", "of the test examples, with the teacher"))
    return facts


def _sure(summary: Summary, scale: float = 1.0, *, sign: bool = False) -> str:
    spread = interval(summary, scale, sign=sign)
    return f"95 % interval {spread}" if spread else "one seed: no interval"


def _corrected(gain: Paired) -> str:
    if math.isnan(gain.adjusted) or math.isclose(gain.p, gain.adjusted):
        return ""
    return f"; {p_shown(gain.p)} before the correction"


def compared(found: Collected, outcome: Study) -> list[tuple[str, str]]:
    """What was compared, a line per kind."""
    rows = [("Data", _data(found)), *_networks(outcome)]
    methods = sorted({method for method in students(found.rows)["method"] if method})
    rows.append(("Method" if len(methods) == 1 else "Methods", ", ".join(methods)))
    varied = [key for key in outcome.keys if key not in ("method", "dataset", "model")]
    rows += [(key, _values(outcome, key)) for key in varied[:_KEYS]]
    rows.append(("Further keys", ", ".join(varied[_KEYS:])))
    rows.append(("Settings tried", f"{outcome.tried:,}" if outcome.tried > 1 else ""))
    used = sorted({int(seed) for seed in found.rows["seed"].dropna()})
    rows.append(("Seeds", f"{len(used)}: {_listed([str(seed) for seed in used], 12)}" if used else ""))
    total, done = len(found.runs), sum(run.get("status", "finished") == "finished" for run in found.runs)
    rows.append(("Runs", f"{total:,}" if done == total else f"{total:,}, of which {done:,} finished"))
    if outcome.winner is not None and outcome.tried > 1:
        by = outcome.measure.title
        chosen = f"{by} on validation examples" if outcome.by_validation else f"test {by}"
        rows.append(("Best chosen by", chosen))
    rows.append(("Measured on", _listed(sorted({device for device in found.rows["device"] if device}), 3)))
    return [(title, text) for title, text in rows if text]


def _data(found: Collected) -> str:
    known = [run["dataset"] for run in found.runs if (run.get("dataset") or {}).get("name")]
    return _listed(list(dict.fromkeys(_splits(dataset["name"], dataset) for dataset in known)), 4, "; ")


def _splits(name: str, dataset: dict[str, object]) -> str:
    told = {"train": "teacher's training", "transfer": "transfer", "val": "validation", "test": "test"}
    sizes = [f"{dataset[key]:,} {what}" for key, what in told.items() if dataset.get(key)]
    return f"{name}: {', '.join(sizes)} examples" if sizes else name


def _networks(outcome: Study) -> list[tuple[str, str]]:
    by_role: dict[str, dict[str, None]] = {}
    for one in outcome.groups:
        params = one.rows["params"].iloc[0]
        size_told = "" if missing(params) else f" ({shown('params', params)} parameters)"
        by_role.setdefault(one.role, {})[f"{one.model}{size_told}"] = None
    return [(role.capitalize(), _listed(list(models), 4)) for role, models in by_role.items()]


def _values(outcome: Study, key: str) -> str:
    found = {shown(key, one.keys[key]): keys.value(one, key) for one in outcome.students if key in one.keys}
    told = sorted(found, key=lambda text: (found[text] is None, found[text] or 0.0))
    # A student without a column's key, such as T, has none; without an overridden one it has that key's default.
    some_default = key not in COLUMNS and any(key not in one.keys for one in outcome.students)
    return _listed([*(["default"] if some_default else []), *told], 10)


def _listed(texts: Sequence[str], most: int, between: str = ", ") -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def cautions(found: Collected, outcome: Study) -> list[str]:
    """What stands in the way of a conclusion, and what could not be read."""
    told = [outcome.underpowered or "", *outcome.warnings, *found.warnings]
    told = [_sentence(sentence) for sentence in dict.fromkeys(told) if sentence]
    more = len(told) - 2 * _NAMED
    return told if more <= 1 else [*told[: 2 * _NAMED], f"{more} more like these."]


def failures(found: Collected) -> list[tuple[str, list[str], int]]:
    """Why runs did not finish: each reason, the first runs it stopped, and how many those were."""
    df = students(found.rows)
    by_reason: dict[str, list[str]] = {}
    for run, status, error in df.loc[~is_finished(df), ["run", "status", "error"]].itertuples(index=False):
        by_reason.setdefault(f"{status}: {error}" if error else str(status), []).append(str(run).rpartition("/")[2])
    return [(reason, runs[:_NAMED], len(runs)) for reason, runs in by_reason.items()]


def title(found: Collected) -> str:
    """What the page is about, in a few words."""
    sets = list(dict.fromkeys(name for name in found.rows["dataset"] if name))
    runs = f"{len(found.runs):,} runs" if len(found.runs) > 1 else "one run"
    return " · ".join(part for part in ("distill", _listed(sets, 3), runs) if part)
