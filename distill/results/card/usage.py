"""How to load a network, ask it, export it, and make it again."""

from __future__ import annotations

import shlex

from distill.results.card.facts import Facts
from distill.results.card.layout import code, listed
from distill.results.measures import ACCURACY, measure_for


def sections(facts: Facts) -> list[str]:
    """Use and reproduction."""
    run = shlex.quote(str(facts.folder))
    weights = facts.folder / "checkpoints" / f"{facts.role}.safetensors"
    if not weights.is_file():
        gone = "Its weights are not kept any more; they are made again as follows."
        return ["## Use", gone, *_reproduction(facts)]
    inputs = "picture.png" if facts.pictures else "inputs.npy"
    return [
        "## Use",
        f"Its weights are `{weights}`.",
        code(
            [
                f"distill predict {run} {inputs} --role {facts.role}",
                f"distill eval {run} --role {facts.role}",
                f"distill export {run} --role {facts.role} --format onnx",
            ]
        ),
        "In Python:",
        code(
            [
                "from pathlib import Path",
                "",
                "from distill.experiments.saved import open_run",
                "",
                f"run = open_run(Path({str(facts.folder)!r})).seen_by({facts.role!r})",
                f"network = run.network({facts.role!r})  # in evaluation mode",
                f"{_asked(facts)}  # raw inputs [examples, {_shape(facts)}]",
            ],
            "python",
        ),
        *_reproduction(facts),
    ]


def _reproduction(facts: Facts) -> list[str]:
    return ["## Reproduction", code([facts.run["command"]]), listed(_made_by(facts))]


def _asked(facts: Facts) -> str:
    asked = "network(run.normalization(inputs))"
    return f"logits = {asked}" if measure_for(facts.run) is ACCURACY else f"values = run.targets.own({asked})"


def _shape(facts: Facts) -> str:
    return ", ".join(map(str, facts.dataset["input_shape"]))


def _made_by(facts: Facts) -> list[str]:
    run = facts.run
    lines = [f"Seed: {run['seed']}."]
    if facts.run.get("sweep") is True and run.get("overrides"):
        lines.append(
            f"This job of the sweep: {', '.join(f'{key}={value}' for key, value in run['overrides'].items())}."
        )
    git = run.get("git")
    if git:
        lines.append(f"Git: {git['commit']}{', with uncommitted changes' if git['dirty'] else ''}.")
    else:
        lines.append("Git: not recorded; the command was given outside of a repository.")
    if run.get("versions"):
        lines.append(f"Versions: {', '.join(f'{name} {version}' for name, version in run['versions'].items())}.")
    device = run.get("device")
    if device:
        lines.append(f"Machine: {device['name']}; {device['processor']}; {device['platform']}.")
    lines.append(f"Signature of everything that determines the weights: `{facts.row['signature']}`.")
    lines.append(f"Finished: {run['finished']}, after {run['seconds']:.1f} s.")
    return lines
