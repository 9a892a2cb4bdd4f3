"""How good a network is, what it costs, how sure that is, and where it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from distill.results.card.facts import Facts
from distill.results.card.layout import listed, table
from distill.results.columns import COLUMNS, missing, shown
from distill.results.measures import measure_for
from distill.results.statistics import SEEDS, p_shown, smallest_p
from distill.results.study import Group

_QUALITY = (
    "accuracy",
    "top5",
    "errors",
    "accuracy_head",
    "accuracy_mid",
    "accuracy_tail",
    "val_accuracy",
    "r2",
    "rmse",
    "val_r2",
    "val_rmse",
    "gain",
    "recovered",
    "nll",
    "brier",
    "ece",
    "temperature",
    "ece_scaled",
    "agreement",
    "kl",
    "agreement_wrong",
    "train_agreement",
    "train_kl",
)
_COSTS = (
    "params",
    "compression",
    "size_mb",
    "flops",
    "latency_ms",
    "latency_p99_ms",
    "latency_batch_ms",
    "throughput_batch",
    "batch",
    "precision",
)
_FEW = 3
_MOST_SHOWN = 10  # of classes, all are shown
_UNSURE = 0.05  # ECE from which its probabilities should not be taken at their word


def sections(facts: Facts) -> list[str]:
    """Results, efficiency, evidence and limits."""
    tests = facts.dataset["test"]
    one = f"; one example is {100 / tests:.2g} points" if measure_for(facts.run).counts else ""
    return [
        "## Results",
        f"Measured on {tests:,} test examples, which no network learned from{one}.",
        _columns(facts, _QUALITY),
        *_classes(facts),
        "## Efficiency",
        _columns(facts, _COSTS),
        f"Measured on {facts.row['device']}. A multiply-accumulate counts as 2 FLOPs.",
        "## How sure this is",
        listed(_evidence(facts)),
        "## Limits",
        listed(_limits(facts)),
    ]


def _columns(facts: Facts, names: Sequence[str]) -> str:
    rows = facts.rows
    kept = [name for name in names if any(not missing(row.get(name)) for row in rows.values())]
    body = [[_named(name), *(shown(name, row.get(name)) for row in rows.values())] for name in kept]
    return table(["", *(f"**{role}**" if role == facts.role else role for role in rows)], body)


def _named(name: str) -> str:
    column = COLUMNS[name]
    unit = f" ({column.unit})" if column.unit not in ("", "x") else ""
    return f"{column.heading}{unit}: {column.meaning}"


def _classes(facts: Facts) -> list[str]:
    known = _by_class(facts)
    if not known:
        return []
    names, counts = facts.dataset["classes"], facts.dataset.get("test_by_class")
    ranked = sorted(known, key=lambda number: known[number])
    body = [
        [str(names[number]), f"{100 * known[number]:.2f}", f"{counts[number]:,}" if counts else ""]
        for number in (ranked if len(ranked) <= _MOST_SHOWN else [*ranked[:_FEW], *ranked[-_FEW:]])
    ]
    whole = len(ranked) <= _MOST_SHOWN
    said = "" if whole else f"The {_FEW} worst and the {_FEW} best of {len(ranked)} classes:"
    parts = ["### By class", said, table(["class", "accuracy (%)", "test examples"], body)]
    confusions = facts.details.get("confusions") or []
    if confusions:
        pairs = [f"{names[true]} taken for {names[guess]} {count:,} times" for true, guess, count in confusions[:5]]
        parts.append(f"Most frequent mistakes: {'; '.join(pairs)}.")
    return [part for part in parts if part]


def _by_class(facts: Facts) -> dict[int, float]:
    shares = facts.details.get("class_accuracy") or facts.run.get("class_accuracy", {}).get(facts.role) or []
    return {number: share for number, share in enumerate(shares) if share is not None}


def _evidence(facts: Facts) -> list[str]:
    lines = [_sampling(facts)] if measure_for(facts.run).counts else []
    group, outcome = facts.setting, facts.sweep
    if group is None or group.accuracy.n < 2 or outcome is None:
        lines.append(
            f"Seeds: one (seed {facts.run['seed']}), which does not tell luck from effect: another seed gives another "
            f"network, and it takes {SEEDS} to say by how much. No other seed of this setting lies beside this run."
        )
    else:
        lines += _seeds(group, outcome.measure.title, outcome.tried)
    if outcome is not None and outcome.tried > 1 and facts.role == "student":
        by = "validation" if outcome.by_validation else "test"
        is_winner = outcome.winner is not None and outcome.winner is group
        lines.append(
            f"Selection: this setting is one of {outcome.tried} of its sweep"
            f"{f', and the one that did best on {by} examples' if is_winner else ''}."
            + (" A choice by test numbers flatters them." if by == "test" and is_winner else "")
        )
    return lines


def _seeds(group: Group, by: str, tried: int) -> list[str]:
    accuracy, gain = group.accuracy, group.gain
    lines = [
        f"Seeds: {accuracy.n} of this setting lie beside this run. Their mean {by} is {accuracy.shown(100.0)} % (± "
        f"standard deviation; 95 % interval {accuracy.interval(100.0)} %), and this network is one of them."
    ]
    if gain is not None and gain.n > 1:
        told = p_shown(gain.p)
        if p_shown(gain.adjusted) != told:
            told += f" ({p_shown(gain.adjusted)} corrected for the {tried} settings of the sweep)"
        few = f"; {gain.n} seeds cannot give less than {p_shown(smallest_p(gain.n))}" if gain.n < SEEDS else ""
        lines.append(
            f"Gain over the baseline of the same seed: {gain.shown(sign=True)} points (95 % interval "
            f"{gain.interval(sign=True)}), better in {gain.won} seeds, p = {told} by sign flips{few}."
        )
    return lines


def _sampling(facts: Facts) -> str:
    share, tests = float(facts.row["accuracy"]), facts.dataset["test"]
    error = 100 * math.sqrt(share * (1 - share) / tests)
    return f"Test set: the standard error of an accuracy on {tests:,} examples is ± {error:.2f} points here."


def _limits(facts: Facts) -> list[str]:
    row, known = facts.row, _by_class(facts)
    lines = []
    if known and min(known.values()) < float(row["accuracy"]):
        worst = min(known, key=lambda number: known[number])
        lines.append(
            f"It is not equally good on all classes: {facts.dataset['classes'][worst]} is recognised in "
            f"{100 * known[worst]:.1f} % of its examples."
        )
    unseen = facts.run.get("unseen", {}).get(facts.role) or facts.details.get("unseen")
    if isinstance(unseen, Mapping):
        names = ", ".join(str(facts.dataset["classes"][number]) for number in unseen["classes"])
        lines.append(f"It never saw an example of class {names}.")
    ece = row.get("ece")
    if ece is not None and ece >= _UNSURE:
        lines.append(
            f"Its probabilities are off by {100 * ece:.1f} points on average (ECE): do not take them at their word"
            + (
                f"; logits divided by {row['temperature']:.2f} are off by {100 * row['ece_scaled']:.1f}."
                if not missing(row.get("ece_scaled"))
                else "."
            )
        )
    if not facts.dataset["val"]:
        lines.append("No validation examples were held out: whatever was chosen, such as epochs, could not be by them.")
    lines.append("Inputs unlike its test set, attacks, and fairness between groups of people were not measured.")
    return lines
