"""From a run to files in the formats that were asked for, and what they cost and lose beside its network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from distill.experiments.saved import Saved
from distill.export import check, table
from distill.export.describe import recorded
from distill.export.file import Exported, Origin, Wish, write
from distill.export.formats import KINDS
from distill.results.columns import shown
from distill.training.device import describe, threads_for

FOLDER, TABLE = "export", "exports.csv"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Wanted:
    """What was asked for.

    Attributes:
        formats: Names of formats.
        wish: How the files are to be.
        role: Of the network; `None` for the student.
        output: The one file to write; `None` for files named for the role in the run's folder `export`.
    """

    formats: tuple[str, ...]
    wish: Wish
    role: str | None = None
    output: Path | None = None

    def path(self, run: Saved, role: str, name: str) -> Path:
        """Where a file goes."""
        quantized = ".int8" if self.wish.int8 else ""
        return self.output or run.folder / FOLDER / f"{role}{quantized}{KINDS[name].suffix}"


def export(run: Saved, wanted: Wanted, console: Console) -> list[Path]:
    """Writes a network of a run, and tells how the files compare with it.

    Args:
        run: Opened.
        wanted: What to write.
        console: For the table.

    Returns:
        The files, their sidecars, and the table.

    Raises:
        DistillError: The network cannot be written, or a file failed its check and was not kept.
        OSError: A file cannot be written; its `filename` says which.
    """
    role = run.role(wanted.role)
    with console.status(f"Asking {role} of {run.folder.name}"):
        origin = Origin.of(run, role)
    wanted = replace(wanted, wish=wanted.wish.for_network(origin.network, role))
    files = []
    for name in wanted.formats:
        path = wanted.path(run, role, name)
        with console.status(f"Writing and checking {path.name}"):
            files.append(write(origin, name, path, wanted.wish))
    # Idle threads of one runtime spin for a while, and would slow the other one down.
    with console.status("Measuring latencies"), threads_for(flops=0):
        predicts = {"": origin.predict, **{file.kind: file.reopened() for file in files}}
        times = check.latencies(predicts, origin.examples.some)
        rows = [_row(file, origin, times[file.kind], times[""], wanted) for file in files]
    table.print_rows(rows, console)
    for sentence in _sentences(origin, files):
        console.print(sentence, highlight=False, markup=False)
    written = table.record(rows, run.folder / FOLDER / TABLE)
    return [*(path for file in files for path in (file.path, file.sidecar)), written]


def _row(
    file: Exported, origin: Origin, times: tuple[float, float], own: tuple[float, float], wanted: Wanted
) -> dict[str, Any]:
    reached, before = file.compared.answers.accuracy, origin.answers.accuracy
    return {
        "file": file.path.name if wanted.output is None else str(file.path),
        "format": file.kind,
        "quantization": file.facts["quantization"],
        "normalization": file.facts["normalization"]["applied"],
        "role": origin.role,
        "model": file.facts["model"],
        "signature": file.facts["signature"],
        "size_mb": file.path.stat().st_size / 1e6,
        "original_size_mb": origin.run.weights(origin.role).stat().st_size / 1e6,
        "checked_on": origin.examples.what,
        "examples": len(origin.answers.logits),
        "accuracy": reached,
        "original_accuracy": before,
        "change": None if reached is None or before is None else 100 * (reached - before),
        "changed": file.compared.changed if origin.run.targets is None else None,
        "difference": file.compared.difference,
        "tolerance": wanted.wish.tolerance,
        "latency_ms": times[0],
        "original_latency_ms": own[0],
        "latency_batch_ms": times[1],
        "original_latency_batch_ms": own[1],
        "batch": check.BATCH,
        "device": describe(torch.device("cpu")),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _sentences(origin: Origin, files: list[Exported]) -> list[str]:
    """How to read the table, and how to use the files."""
    run, examples = origin.run, origin.examples
    why = f": {examples.gone}" if examples.gone else "."
    said = [f"Checked as read back from disk, on {len(origin.answers.logits):,} {examples.what}{why}"]
    row, now = recorded(run, origin.role), origin.answers.accuracy
    if now is not None and row.get("accuracy") is not None and abs(row["accuracy"] - now) > _ROUNDING:
        said[0] += (
            f" The run itself measured {shown('accuracy', row['accuracy'])} % in {row['precision']} on "
            f"{row['device']}; here it is fp32 on the CPU."
        )
    said[0] += " Latencies are medians on one CPU thread, from raw inputs to logits."
    shape = "x".join(map(str, run.input_shape))
    raw = "raw values" if run.maximum is None else f"raw pictures, 0 to {run.maximum:g}"
    for expects, what in (("raw", f"{raw}; normalisation is inside"), ("normalized", "normalised as its .json says")):
        names = [file.path.name for file in files if file.facts["input"]["expects"] == expects]
        if names:
            said.append(f"Input of {', '.join(names)}: float32, any number of {shape}, {what}.")
    if run.targets is not None:
        said.append(
            "Outputs are standardised targets; output * deviation + mean, as the .json says, is in their units."
        )
    return said
