"""One run: obtains the networks of a plan and leaves a folder that tells all about them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from distill.config.dataset_options import DatasetOptions
from distill.config.schema import Config
from distill.data import Dataset, Split, load
from distill.errors import DistillError
from distill.experiments import provenance, reported
from distill.experiments.assembly import Obtained
from distill.experiments.display import Display, reached
from distill.experiments.obtain import Made, Workshop
from distill.experiments.plan import plan
from distill.experiments.run_folder import RunFolder
from distill.experiments.store import Store
from distill.methods.pseudo_labels import sentence
from distill.results import process
from distill.results.progress import ProgressFile
from distill.tracking import TrackedRun
from distill.tracking.fanout import Trackers
from distill.training import device as devices
from distill.training.interrupt import Interrupted, Stop, polite
from distill.training.layout import keep_memory
from distill.training.measure import FOUND
from distill.training.world import join

# Of the files of a run, those that trackers get; weights are too large.
_KEPT = ("config.resolved.yaml", "results.csv", "metrics.csv", "curves.png")


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
    with (
        ProgressFile(request.folder) as file,
        Trackers(config.trackers, _tracked(config, request), Display(console, quiet=True).warn) as trackers,
    ):
        display = Display(console, config.run.verbosity == "quiet", file, trackers)
        rows = _run(config, request, display, trackers)
        trackers.result(rows, [request.folder / name for name in _KEPT])
    return rows


def _tracked(config: Config, request: Request) -> TrackedRun:
    # Thousands of jobs without a tracker need not wait for YAML.
    resolved = yaml.safe_load(request.resolved) if config.trackers else {}
    return TrackedRun(
        folder=request.folder,
        sweep=request.folder.parent.name if request.sweep else None,
        config={key: value for key, value in resolved.items() if key != "tracker"},
        overrides=request.overrides,
        command=request.command,
        again=(request.folder / "run.json").exists(),
    )


def _run(config: Config, request: Request, display: Display, trackers: Trackers) -> list[dict[str, Any]]:
    began = time.monotonic()
    keep_memory()
    world = join()
    world.together(trackers.ready)
    device = devices.resolve(config.run.device, world.local_rank)
    devices.occupy(device)
    world.together(lambda: loaded(config.dataset) and None)  # what must be fetched or decoded, one process does
    data = loaded(config.dataset)
    nodes = plan(config)
    store = Store(Path(config.store.dir))
    stop = Stop()
    workshop = Workshop(config, data, device, store, display, stop, request.began, request.made, world)
    nodes = workshop.prepare(nodes)
    world.together(trackers.start)

    folder = RunFolder(request.folder, config.run.output)
    folder.write("config.resolved.yaml", request.resolved)
    variants = workshop.variants(nodes)
    facts = _facts(config, request, data, variants, device, world.size)
    facts["dataset"]["seen"] = {node.role: node.data for node in nodes if node.data in variants}
    folder.tell(**facts, status="running", error=None)
    obtained: list[Obtained] = []
    together = any(node.role == "student" and node.parents[:1] == ("ensemble",) for node in nodes)
    taught_by = "ensemble" if together else "teacher"
    fidelity: dict[str, dict[str, float | None]] = {}
    rows: list[dict[str, Any]] = []
    try:
        with polite(stop), devices.deterministic(config.run.deterministic), display.plan([node.role for node in nodes]):
            if request.stopped is not None and request.stopped.exists():  # before anybody knew of this process
                raise Interrupted(int(request.stopped.read_text(encoding="utf-8")))
            for node in nodes:
                by_role = {one.node.role: one for one in obtained}
                obtained.append(workshop.obtain(node, [by_role[role] for role in node.needs]))
                fidelity[node.role] = workshop.fidelity(obtained[-1], by_role.get(taught_by))
                trackers.network(reported.history(obtained[-1:]))
                _tell(display, obtained[-1])
                folder.weights(node.role, obtained[-1].artifact.weights)
                if (pictures := workshop.generated(obtained[-1])) is not None:
                    folder.generated(*pictures, f"What the {node.role} learned from, without data")
                if node is nodes[-1] or not obtained[-1].reused:  # a sweep's jobs may come from the store in no time
                    folder.metrics(reported.history(obtained))
                    rows = reported.rows(request.folder.name, data.name, config.run.seed, obtained, fidelity)
                    folder.write("details.json", json.dumps({"networks": reported.details(obtained)}))
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
        **reported.held_out(obtained),
        **{name: reported.by_role(obtained, name) for name in ("class_accuracy", "unseen", *FOUND)},
    )
    # Drawing takes longer than a small training; of a job in a sweep `distill report JOB` draws them.
    if not request.sweep and any(one.artifact.record.history for one in obtained):
        folder.draw()
    return rows


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


def _facts(
    config: Config, request: Request, data: Dataset, variants: Mapping[str, Dataset], device: Any, processes: int
) -> dict[str, Any]:
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
            **({} if data.pool is None else {"unlabelled": len(data.pool) - len(data.transfer)}),
            "targets": data.targets and asdict(data.targets),
            "train_by_class": _by_class(data, data.train),
            "maximum": None if data.test.inputs.dtype.is_floating_point else data.maximum,
            **_inputs(data),
            "variants": {
                name: {"classes": list(seen.classes), "tasks": seen.tasks, **_inputs(seen)}
                for name, seen in variants.items()
            },
            "test_by_class": _by_class(data, data.test),
        },
    }


def _inputs(data: Dataset) -> dict[str, Any]:
    """What networks take, and what makes it of raw examples."""
    normalization = data.normalization
    return {
        "input_shape": list(data.input_shape),
        "normalization": {"offset": normalization.offset.tolist(), "scale": normalization.scale.tolist()},
    }


def _by_class(data: Dataset, split: Split) -> list[int]:
    return [] if data.targets else torch.bincount(split.labels.cpu(), minlength=data.class_count).tolist()


def _tell(display: Display, one: Obtained) -> None:
    record = one.artifact.record
    how = f"trained in {record.seconds:.1f} s"
    if record.stack > 1:
        how = f"trained in a stack of {record.stack} in {record.seconds * record.stack:.1f} s"
    if one.node.trains and one.node.hparams.select == "best_val":
        how += f", epoch {record.measures['epoch']} of {record.measures['epochs']} kept"
    if one.node.trains and not one.node.hparams.epoch_count:
        how = f"made of {one.node.start} without training"
    if one.node.kind == "part":
        how = f"one of {one.parents[0].node.role}"
    if one.node.kind == "ensemble":
        how = f"the mean answer of {', '.join(one.node.parents)}"
    if one.reused:
        how = f"reused from the store, trained {_age(time.time() - record.created)} ago"
    elif one.node.kind == "trained" and not one.node.model.train:
        how = f"taken as it is from {one.node.model.source}"
    if tasks := record.measures.get("task_accuracy"):
        how += f", by task {', '.join(f'{share:.1%}' for share in tasks)}"
    if one.outputs == "live":
        how += ", teacher asked live"
    elif one.outputs is not None:
        how += f", teacher asked once per example{one.outputs.removeprefix('cached')}"
    if "pseudo_labels" in record.measures:
        display.say(f"{one.node.role:9} {sentence(record.measures['pseudo_labels'])}")
    display.network(one.node.role, f"{record.model:16} {reached(record.measures)}  {how}")


def _age(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} s"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
