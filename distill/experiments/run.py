"""One run: obtains the networks of a plan and leaves a folder that tells all about them."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from distill.config.dataset_options import DatasetOptions
from distill.config.schema import Config
from distill.data import Dataset, load
from distill.errors import DistillError
from distill.experiments import provenance
from distill.experiments.assembly import Obtained
from distill.experiments.display import Display
from distill.experiments.obtain import Made, Workshop
from distill.experiments.plan import plan
from distill.experiments.run_folder import RunFolder
from distill.experiments.store import Store
from distill.results import process
from distill.results.rows import complete
from distill.training import device as devices
from distill.training.interrupt import Interrupted, Stop, polite
from distill.training.layout import keep_memory
from distill.training.world import join


@dataclass(frozen=True)
class Request:
    """What was asked for, as the user said it.

    Attributes:
        folder: Where the run leaves its files.
        command: The command line, as a shell takes it.
        words: Those of it after `distill train`.
        directory: Where it was given.
        sweep: Whether the run is a job of a sweep.
        overrides: Keys the user changed that may make a difference, with their values as written.
        places: Words of the command line that say where things are, such as `output=elsewhere`.
        resolved: The whole config with every reference followed, YAML.
        began: When the command began that this run belongs to, seconds since 1970.
        made: Networks by signature that a stacked sweep has trained before its jobs.
        stopped: Where the number of a signal stands once the sweep that this run belongs to is to stop.
    """

    folder: Path
    command: str
    words: Sequence[str]
    directory: str
    sweep: bool
    overrides: Mapping[str, str]
    places: Sequence[str]
    resolved: str
    began: float
    made: dict[str, Made] = field(default_factory=dict)
    stopped: Path | None = None


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
    keep_memory()
    world = join()
    device = devices.resolve(config.run.device, world.local_rank)
    devices.occupy(device)
    world.together(lambda: loaded(config.dataset) and None)  # what must be fetched or decoded, one process does
    data = loaded(config.dataset)
    nodes = plan(config)
    store = Store(Path(config.store.dir))
    stop = Stop()
    workshop = Workshop(config, data, device, store, display, stop, request.began, request.made, world)
    nodes = workshop.prepare(nodes)

    folder = RunFolder(request.folder, config.run.output)
    folder.write("config.resolved.yaml", request.resolved)
    folder.tell(**_facts(config, request, data, device, world.size), status="running", error=None)
    obtained: list[Obtained] = []
    rows: list[dict[str, Any]] = []
    try:
        with polite(stop), devices.deterministic(config.run.deterministic), display.plan([node.role for node in nodes]):
            if request.stopped is not None and request.stopped.exists():  # before anybody knew of this process
                raise Interrupted(int(request.stopped.read_text(encoding="utf-8")))
            for node in nodes:
                parents = [other for other in obtained if other.node.role in node.parents]
                obtained.append(workshop.obtain(node, parents))
                _tell(display, obtained[-1])
                folder.weights(node.role, obtained[-1].artifact.weights)
                if node is nodes[-1] or not obtained[-1].reused:  # a sweep's jobs may come from the store in no time
                    folder.metrics([row for one in obtained for row in one.artifact.record.history])
                    rows = _rows(config, request, data, obtained)
                    folder.results(rows)
                if world.largest(int(stop.asked)):
                    stop.number = stop.number or signal.SIGTERM
                    stop.check()
    except BaseException as error:
        with suppress(DistillError):  # where nothing can be written, the error itself says so
            folder.tell(
                status="interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
                error=str(error) or type(error).__name__,
                finished=_now(),
                seconds=time.monotonic() - began,
                **getattr(error, "facts", {}),
            )
        raise
    outputs = next((one.outputs for one in obtained if one.outputs), None)
    folder.tell(
        status="finished",
        finished=_now(),
        seconds=time.monotonic() - began,
        teacher_outputs=outputs,
        val_accuracy=_val_accuracy(obtained),
        **{name: _by_role(obtained, name) for name in ("class_accuracy", "unseen")},
    )
    # Drawing takes longer than a small training; of a job in a sweep `distill report JOB` draws them.
    if not request.sweep and any(one.artifact.record.history for one in obtained):
        folder.draw()
    return rows


def _val_accuracy(obtained: list[Obtained]) -> float | None:
    """Of the student after its last epoch, 0..1: what hyperparameters may be chosen by."""
    history = next((one.artifact.record.history for one in obtained if one.node.role == "student"), [])
    return history[-1]["val_accuracy"] if history else None


def _by_role(obtained: list[Obtained], name: str) -> dict[str, Any]:
    """What was measured of each network, where it was."""
    measured = {one.node.role: one.artifact.record.measures.get(name) for one in obtained}
    return {role: value for role, value in measured.items() if value is not None}


_last: tuple[DatasetOptions, Dataset] | None = None


def loaded(options: DatasetOptions) -> Dataset:
    """The data set, which the jobs of a sweep in one process share while its options stay the same."""
    global _last
    if _last is None or _last[0] != options:
        _last = (options, load(options))
    return _last[1]


def record_failure(request: Request, error: Exception) -> None:
    """Leaves a record of a job of a sweep that ended before it began, so that its table can tell why."""
    if (request.folder / "run.json").exists():
        return
    RunFolder(request.folder, str(request.folder.parent)).tell(
        **_asked(request),
        status="failed",
        error=str(error) or type(error).__name__,
        finished=_now(),
        seconds=0.0,
    )


def _asked(request: Request) -> dict[str, Any]:
    return {
        "run": request.folder.name,
        "command": request.command,
        "words": list(request.words),
        "directory": request.directory,
        "sweep": request.sweep,
        "overrides": dict(request.overrides),
        "places": list(request.places),
        "began": request.began,
        "started": _now(),
        "process": process.this(),
    }


def _facts(config: Config, request: Request, data: Dataset, device: Any, processes: int) -> dict[str, Any]:
    return {
        **_asked(request),
        "seed": config.run.seed,
        "git": provenance.git(),
        "versions": provenance.versions(),
        "device": provenance.machine(device),
        "processes": processes,
        "dataset": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "train": len(data.train),
            "transfer": len(data.transfer),
            "val": len(data.val) if data.val is not None else 0,
            "test": len(data.test),
            "train_by_class": torch.bincount(data.train.labels.cpu(), minlength=data.class_count).tolist(),
            "input_shape": list(data.input_shape),
            "maximum": None if data.test.inputs.dtype.is_floating_point else data.maximum,
            "normalization": {
                "offset": data.normalization.offset.tolist(),
                "scale": data.normalization.scale.tolist(),
            },
            "test_by_class": torch.bincount(data.test.labels.cpu(), minlength=data.class_count).tolist(),
        },
    }


def _rows(config: Config, request: Request, data: Dataset, obtained: list[Obtained]) -> list[dict[str, Any]]:
    teacher = next((one.artifact.record for one in obtained if one.node.role == "teacher"), None)
    rows = []
    for one in obtained:
        record, node = one.artifact.record, one.node
        agreement = None
        if teacher is not None and node.role != "teacher":
            pairs = list(zip(record.predictions, teacher.predictions, strict=True))
            agreement = sum(own == other for own, other in pairs) / len(pairs)
        rows.append(
            {
                "run": request.folder.name,
                "role": node.role,
                "model": record.model,
                "dataset": data.name,
                "method": node.method.name,
                # A temperature that softens nothing is not worth a column.
                "T": getattr(node.method, "T", None) if getattr(node.method, "soft_weight", 1) else None,
                "alpha": getattr(node.method, "alpha", None),
                "seed": config.run.seed,
                "status": "finished",
                **{key: value for key, value in record.measures.items() if not isinstance(value, list | dict)},
                "adapters": record.adapters,
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
    if record.stack > 1:
        how = f"trained in a stack of {record.stack} in {record.seconds * record.stack:.1f} s"
    if one.reused:
        how = f"reused from the store, trained {_age(time.time() - record.created)} ago"
    elif not one.node.model.train:
        how = f"taken as it is from {one.node.model.source}"
    if one.outputs == "live":
        how += ", teacher asked live"
    elif one.outputs is not None:
        how += f", teacher asked once per example{one.outputs.removeprefix('cached')}"
    display.network(one.node.role, f"{record.model:16} {record.measures['accuracy']:7.2%}  {how}")


def _age(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} s"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
