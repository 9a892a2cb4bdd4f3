"""What a network is, what it learned from, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill.config import tree
from distill.results.card.facts import Facts
from distill.results.card.layout import listed, table
from distill.results.columns import missing, shown
from distill.results.measures import R2, measure_for, score
from distill.results.rows import Row

_MOST_CLASSES = 30
_NOTHING = (None, 0, [], "none")  # of an option that is off
_OWN = ("imagefolder", "tensors")  # what users bring, of which conf/ knows no more than how to read it
_CHANGES = (
    "augment",
    "transfer_augment",
    "cutout",
    "mixup",
    "transfer_mixup",
    "cutmix",
    "views",
    "label_noise",
    "classes",
    "omit_classes",
    "limit_train",
    "limit_transfer",
    "limit_test",
)


def title(facts: Facts) -> str:
    """The heading."""
    return f"{facts.row['model']}, {_article(facts.role)} for {facts.dataset['name']}"


def _article(role: str) -> str:
    return {"teacher": "a teacher", "baseline": "a baseline", "student": "a distilled student"}.get(role, role)


def summary(facts: Facts) -> str:
    """One paragraph: what it is, how good, and beside what."""
    row, data = facts.row, facts.dataset
    regression = measure_for(facts.run) is R2
    what = f"classifier of {len(data['classes'])} classes"
    if regression:
        what = f"regression of {', '.join(data['targets']['names'])}"
    sentence = f"A {what} with {shown('params', row['params'])} parameters, {_taught(facts)}. It {_does(row, data)}"
    if not missing(row.get("gain")):
        gain = float(row["gain"])
        sentence += (
            f", {abs(gain):.2f} points {'more' if gain >= 0 else 'less'} than the same network trained on "
            f"{'targets' if regression else 'labels'}"
        )
    teacher = facts.rows.get("teacher")
    if teacher is not None and facts.role != "teacher":
        whose = "the teacher of the run" if facts.teacher is None else "its teacher"
        reached = "explains {} %" if regression else "classifies {} % right"
        sentence += f"; {whose} {reached.format(shown('r2' if regression else 'accuracy', score(teacher)))}"
        if not missing(row.get("compression")):
            sentence += f" with {shown('compression', row['compression'])} times as many parameters"
    return f"{sentence}."


def _does(row: Row, data: Mapping[str, Any]) -> str:
    if missing(row.get("r2")):
        told = ", the task of each being known" if data.get("tasks") else ""
        return f"classifies {shown('accuracy', row['accuracy'])} % of {data['test']:,} test examples right{told}"
    return (
        f"explains {shown('r2', row['r2'])} % of the variance of {data['test']:,} test examples (RMSE "
        f"{shown('rmse', row['rmse'])})"
    )


def _taught(facts: Facts) -> str:
    row = facts.row
    if facts.role == "ensemble":
        return "the mean answer of several networks of its run"
    if not facts.taught:
        learned = "targets" if measure_for(facts.run) is R2 else "labels"
        return f"trained on the {learned} of {facts.dataset['name']}"
    settings = [f"{key}={shown(key, row[key])}" for key in ("T", "alpha") if not missing(row.get(key))]
    method = f"the method `{row['method']}`" + (f" ({', '.join(settings)})" if settings else "")
    teacher = facts.teacher
    by = f" by {teacher['model']} ({shown('params', teacher['params'])} parameters)" if teacher is not None else ""
    return f"taught{by} on {facts.dataset['name']} with {method}"


def sections(facts: Facts) -> list[str]:
    """Intended use, training data and training."""
    return [
        "## Intended use",
        "Not recorded: a run knows what it measured, and not what its networks are for. What was measured holds for "
        "inputs like those of the test set below"
        + (", and for its classes alone." if facts.dataset["classes"] else "."),
        "## Training data",
        listed(_data(facts)),
        "## Training",
        *_training(facts),
    ]


def _data(facts: Facts) -> list[str]:
    data, options = facts.dataset, facts.config["dataset"]
    known = next((choice for choice in tree.choices("dataset") if choice.name == data["name"]), None)
    about = "Data of the author's own, of which no more is recorded than what follows."
    if known is not None and known.name not in _OWN:
        about = " ".join(known.opening)
    lines = [f"Data set: {data['name']}. {about}"]
    if "licence" not in about.casefold():
        lines.append("Licence of the data: not recorded.")
    learned = data["train"] if facts.role == "teacher" else data["transfer"]
    limit = facts.config["hparams"][facts.options].get("limit_examples")
    if limit is not None and limit < learned:
        learned = limit
    lines.append(
        f"Examples: {learned:,} to learn from (of {data['train']:,} that there are to train on), {data['val']:,} held "
        f"out for validation, {data['test']:,} to test on."
    )
    lines.append(_answers(data))
    lines.append(f"Inputs: {_inputs(data)}.")
    changed = [f"{key}={_value(options[key])}" for key in _CHANGES if options.get(key) not in _NOTHING]
    if changed:
        lines.append(f"Changes to the examples: {', '.join(changed)}.")
    lines.append(f"Fingerprint of what was loaded: `{data['fingerprint']}` (SHA-256).")
    return lines


def _answers(data: Mapping[str, Any]) -> str:
    if data.get("targets"):
        columns = (data["targets"][key] for key in ("names", "mean", "deviation"))
        scale = "; ".join(
            f"{name}: answer * {spread:.6g} + {mean:.6g}" for name, mean, spread in zip(*columns, strict=True)
        )
        return f"Targets, and what the network answers in their own units: {scale}."
    names = [str(name) for name in data["classes"]]
    more = f" and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
    return f"Classes: {', '.join(names[:_MOST_CLASSES])}{more}."


def _inputs(data: Mapping[str, Any]) -> str:
    shape = "x".join(map(str, data["input_shape"]))
    kind = "numbers" if data.get("maximum") is None else f"pictures of 0 (black) to {data['maximum']:g} (white)"
    found = data.get("normalization")
    if not found:
        return f"{kind}, {shape}"
    offset, scale = (", ".join(f"{value:.6g}" for value in found[key]) for key in ("offset", "scale"))
    return f"{kind}, {shape}, normalised as (input - [{offset}]) * [{scale}] per channel"


def _training(facts: Facts) -> list[str]:
    groups = {facts.options: facts.config[facts.options], "hparams": facts.config["hparams"][facts.options]}
    if facts.taught:
        groups = {"method": facts.config["method"], **groups}
    body = [
        [f"`{group}.{key}`", f"`{_value(value)}`"]
        for group, values in groups.items()
        for key, value in values.items()
        if value is not None and value != [] and key != "name"
    ]
    lines = []
    if not missing(facts.row.get("seconds")):
        lines.append(f"Trained for {shown('seconds', facts.row['seconds'])} s.")
    if facts.row.get("epochs"):
        epoch = facts.row.get("epoch")
        kept = f"; its weights are those of epoch {epoch}" if epoch else ""
        lines.append(f"Epochs: {facts.row['epochs']}{kept}.")
    if facts.row.get("adapters"):
        count = shown("adapters", facts.row["adapters"])
        lines.append(f"The method trained {count} parameters more beside it, which are no part of it.")
    for name, what in (("memory_mb", "Peak memory: {} MB."), ("energy_wh", "Energy: {} Wh.")):
        if not missing(facts.row.get(name)):
            lines.append(what.format(shown(name, facts.row[name])))
    return [*([listed(lines)] if lines else []), table(["setting", "value"], body)]


def _value(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
