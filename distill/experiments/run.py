"""One run: obtains the networks of a plan and leaves a folder that tells all about them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from distill.config.dataset_options import DatasetOptions
from distill.config.schema import Config
from distill.data import Dataset, load
from distill.experiments import provenance
from distill.experiments.display import Display
from distill.experiments.obtain import Obtained, Workshop
from distill.experiments.plan import plan
from distill.experiments.store import Store
from distill.files import write_text
from distill.results.curves import curves
from distill.results.rows import complete, write_csv
from distill.training import device as devices
from distill.training.interrupt import Stop, polite


@dataclass(frozen=True)
class Request:
    """What was asked for, as the user said it.

    Attributes:
        folder: Where the run leaves its files.
        overrides: Keys the user changed that may make a difference, with their values as written.
        places: Words of the command line that say where things are, such as `output=elsewhere`.
        resolved: The whole config with every reference followed, YAML.
        began: When the command began that this run belongs to, seconds since 1970.
    """

    folder: Path
    overrides: Mapping[str, str]
    places: Sequence[str]
    resolved: str
    began: float


@dataclass
class _Story:
    """What `run.json` says; saved whenever it changes."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)

    def tell(self, **facts: Any) -> None:
        self.facts.update(facts)
        write_text(self.path, json.dumps(self.facts, indent=1))


def run(config: Config, request: Request, console: Console) -> list[dict[str, Any]]:
    """Trains or reuses teacher, baseline and student, and writes what came of it.

    Args:
        config: The run, checked.
        request: What was asked for.
        console: For progress.

    Returns:
        The rows of the results table.

    Raises:
        DistillError: The run cannot go on; `run.json` says why if anything had begun.
    """
    began = time.monotonic()
    display = Display(console, quiet=config.run.verbosity == "quiet")
    device = devices.resolve(config.run.device)
    data = _loaded(config.dataset)
    nodes = plan(config)
    store = Store(Path(config.store.dir))
    stop = Stop()
    workshop = Workshop(config, data, device, store, display, stop, request.began)
    nodes = workshop.prepare(nodes)

    story = _Story(request.folder / "run.json")
    write_text(request.folder / "config.resolved.yaml", request.resolved)
    story.tell(**_facts(config, request, data, device), status="running", error=None)
    obtained: list[Obtained] = []
    rows: list[dict[str, Any]] = []
    try:
        with polite(stop), display.plan([node.role for node in nodes]):
            for node in nodes:
                parents = [other for other in obtained if other.node.role in node.parents]
                obtained.append(workshop.obtain(node, parents))
                _tell(display, obtained[-1])
                _keep_weights(obtained[-1], request.folder)
                _write_metrics(obtained, request.folder)
                rows = _rows(config, request, data, obtained)
                write_csv(rows, request.folder / "results.csv")
                stop.check()
    except BaseException as error:
        story.tell(
            status="interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            error=str(error) or type(error).__name__,
            finished=_now(),
            seconds=time.monotonic() - began,
        )
        raise
    outputs = next((one.outputs for one in obtained if one.outputs), None)
    story.tell(status="finished", finished=_now(), seconds=time.monotonic() - began, teacher_outputs=outputs)
    if any(one.artifact.record.history for one in obtained):
        curves(pd.read_csv(request.folder / "metrics.csv"), request.folder / "curves.png")
    return rows


_last: tuple[DatasetOptions, Dataset] | None = None


def _loaded(options: DatasetOptions) -> Dataset:
    """The data set, which the jobs of a sweep in one process share while its options stay the same."""
    global _last
    if _last is None or _last[0] != options:
        _last = (options, load(options))
    return _last[1]


def record_failure(request: Request, error: Exception) -> None:
    """Leaves a record of a job of a sweep that ended before it began, so that its table can tell why."""
    path = request.folder / "run.json"
    if path.exists():
        return
    _Story(path).tell(
        run=request.folder.name,
        status="failed",
        error=str(error) or type(error).__name__,
        command=provenance.command(),
        overrides=dict(request.overrides),
        started=_now(),
        finished=_now(),
        seconds=0.0,
    )


def _facts(config: Config, request: Request, data: Dataset, device: Any) -> dict[str, Any]:
    return {
        "run": request.folder.name,
        "command": provenance.command(),
        "overrides": dict(request.overrides),
        "places": list(request.places),
        "started": _now(),
        "seed": config.run.seed,
        "process": {"pid": os.getpid(), "host": platform.node()},
        "git": provenance.git(),
        "versions": provenance.versions(),
        "device": provenance.machine(device),
        "dataset": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "train": len(data.train),
            "transfer": len(data.transfer),
            "val": len(data.val) if data.val is not None else 0,
            "test": len(data.test),
        },
    }


def _rows(config: Config, request: Request, data: Dataset, obtained: list[Obtained]) -> list[dict[str, Any]]:
    teacher = obtained[0].artifact.record
    rows = []
    for one in obtained:
        record, node = one.artifact.record, one.node
        agreement = None
        if node.role != "teacher":
            pairs = list(zip(record.predictions, teacher.predictions, strict=True))
            agreement = sum(own == other for own, other in pairs) / len(pairs)
        rows.append(
            {
                "run": request.folder.name,
                "role": node.role,
                "model": record.model,
                "dataset": data.name,
                "method": node.method.name,
                "T": getattr(node.method, "T", None),
                "alpha": getattr(node.method, "alpha", None),
                "seed": config.run.seed,
                "status": "finished",
                **record.measures,
                "agreement": agreement,
                "seconds": record.seconds,
                "reused": one.reused,
                "signature": record.signature,
            }
        )
    return complete(rows)


def _tell(display: Display, one: Obtained) -> None:
    record = one.artifact.record
    how = f"trained in {record.seconds:.1f} s"
    if one.reused:
        how = f"reused from the store, trained {_age(time.time() - record.created)} ago"
    elif not one.node.model.train:
        how = f"taken as it is from {one.node.model.checkpoint}"
    if one.outputs == "cached":
        how += ", teacher asked once per example"
    elif one.outputs == "live":
        how += ", teacher asked live"
    display.network(one.node.role, f"{record.model:16} {record.measures['accuracy']:7.2%}  {how}")


def _age(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} s"


def _keep_weights(one: Obtained, folder: Path) -> None:
    """The run's own name for the stored file: a hard link where the file system has them, else a copy."""
    target = folder / "checkpoints" / f"{one.node.role}.safetensors"
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(one.artifact.weights, target)
    except OSError:
        shutil.copyfile(one.artifact.weights, target)


def _write_metrics(obtained: list[Obtained], folder: Path) -> None:
    rows = [row for one in obtained for row in one.artifact.record.history]
    columns = dict.fromkeys(key for row in rows for key in row)
    losses = [key for key in columns if key.startswith("loss")]
    before = [key for key in ("role", "epoch", "step", "seconds", "lr") if key in columns]
    after = [key for key in columns if key not in (*losses, *before)]
    write_csv(rows, folder / "metrics.csv", [*before, *losses, *after])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
