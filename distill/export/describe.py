"""What an exported file says of itself, and the sidecar that says it to programs and people."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.data.normalization import Normalization
from distill.errors import DataError
from distill.experiments.provenance import versions
from distill.experiments.saved import Saved
from distill.export.check import Compared, Examples
from distill.export.content import INPUT, OUTPUT
from distill.export.preprocessing import stated
from distill.files import write_text
from distill.methods import methods
from distill.results.rows import Row, read_csv


def facts(run: Saved, role: str, packages: Sequence[str], inside: Normalization | None) -> dict[str, Any]:
    """Where a network comes from, and how it is called.

    Args:
        run: That trained it.
        role: Of the network.
        packages: That write the file, beside those distill always has.
        inside: The normalisation that is part of the file, if it is.
    """
    node, row = run.nodes[role], recorded(run, role)
    redesigned = methods.find(node.method.name).factory(node.method).redesigns()
    git = run.facts.get("git") or {}
    return {
        "run": run.facts.get("run", run.folder.name),
        "role": role,
        "model": row.get("model") or node.model.label(),
        "method": row.get("method") or node.method.name,
        "dataset": run.facts["dataset"]["name"],
        "signature": row.get("signature"),
        "accuracy": row.get("accuracy"),
        **stated(run.input_shape, run.maximum, run.normalization, INPUT, inside=inside is not None),
        "output": {"name": OUTPUT, "shape": ["batch", run.outputs], "type": "float32"},
        "classes": list(run.classes),
        "targets": _targets(run),
        "network": asdict(node.model),
        "redesigned_by": node.method.name if redesigned else None,
        "quantization": "none",
        "commit": git.get("commit"),
        "versions": {**versions(), **{name: importlib.metadata.version(name) for name in packages}},
    }


def _targets(run: Saved) -> dict[str, Any] | None:
    """What the outputs of a regression mean, and how they become numbers in the targets' own units."""
    return run.targets and {**asdict(run.targets), "formula": "output * deviation + mean, per target"}


def recorded(run: Saved, role: str) -> Row:
    """The row of a network in the run's `results.csv`; empty where there is none."""
    try:
        return next((row for row in read_csv(run.folder / "results.csv") if row["role"] == role), {})
    except DataError:
        return {}  # what the file is for does not hang on it


def write_sidecar(path: Path, facts: dict[str, Any], kind: str, compared: Compared, examples: Examples) -> Path:
    """Writes `<file>.json`: the facts of a file and what its check found."""
    found = compared.answers
    check = {
        "examples": len(found.logits),
        "of": examples.what,
        "largest_logit_difference": compared.difference,
        "other_predictions": compared.changed,
        "accuracy": found.accuracy,
    }
    sidecar = {"file": path.name, "format": kind, "bytes": path.stat().st_size, **facts, "check": check}
    return write_text(path.with_name(f"{path.name}.json"), json.dumps(sidecar, indent=1) + "\n")
