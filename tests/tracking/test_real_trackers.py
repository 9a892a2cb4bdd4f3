"""Each tracker, read back with its own reader: a sweep, of which the second job finds its teacher in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tracking.left_behind import accuracy, curve, table
from tracking.wandb_file import messages

from distill.tracking import TrackedRun, Tracker, trackers

ROLES = ("teacher", "baseline", "student")
NUMBERS = ("loss", "val_accuracy", "test_accuracy", "lr", "seconds")


@pytest.fixture
def go_on(tmp_path) -> Callable[..., Tracker]:
    """Opens a tracker for a run that an earlier command began in the same folder."""

    def opened(name: str, folder: Path, **options: Any) -> Tracker:
        run = TrackedRun(folder, folder.parent.name, {"seed": 0}, {"T": "2"}, "distill train", again=True)
        entry = trackers.find(name)
        return entry.factory(entry.options(name=name, **options), run)

    return opened


def epochs(*numbers: int, role: str = "student") -> list[dict[str, Any]]:
    return [{"role": role, "epoch": number, "step": number, "loss": 1.0 / number} for number in numbers]


def test_csv(train, go_on, tmp_path):
    left = train("-m", "T=2,4", "tracker=csv")
    assert left.code == 0, left.said
    folder = tmp_path / "outputs" / "tracking" / "csv" / left.folder.name
    assert sorted(folder.iterdir()) == [folder / f"{job.name}.csv" for job in left.jobs]

    def told(file: Path, role: str, name: str) -> list[tuple[int, float]]:
        lines = [line for line in table(file) if (line["role"], line["name"]) == (role, name) and line["epoch"]]
        return [(int(line["epoch"]), float(line["value"])) for line in lines]

    for job in left.jobs:
        file = folder / f"{job.name}.csv"
        assert all(told(file, role, name) == curve(job, role, name) for role in ROLES for name in NUMBERS)
        values = {(line["role"], line["name"]): line["value"] for line in table(file)}
        assert float(values["student", "result/accuracy"]) == accuracy(job)
        assert values["", "override/T"] == job.name[4]
        assert values["", "status"] == "finished"

    tracker = go_on("csv", left.jobs[0], dir=str(folder.parent))
    tracker.log(epochs(1, 2, 3))
    tracker.close("interrupted", "SIGTERM")
    file = folder / f"{left.jobs[0].name}.csv"
    assert [epoch for epoch, _ in told(file, "student", "loss")] == [1, 2, 3]


def test_tensorboard(train, go_on, tmp_path):
    left = train("-m", "T=2,4", "tracker=tensorboard")
    assert left.code == 0, left.said
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "outputs" / "tracking" / "tensorboard"

    def read(place: Path) -> Any:
        events = EventAccumulator(str(place))
        events.Reload()
        return events

    for job in left.jobs:
        own = folder / left.folder.name / job.name
        for role in ROLES:
            events = read(own / role)
            for name in NUMBERS:
                points = [(point.step, pytest.approx(point.value)) for point in events.Scalars(name)]
                assert points == curve(job, role, name)
        (reached,) = read(own / "student").Scalars("result/accuracy")
        assert reached.value == pytest.approx(accuracy(job))
        assert {"command/text_summary", "config/text_summary", "status/text_summary"} <= {*read(own).Tags()["tensors"]}
        assert "_hparams_/session_start_info" in read(own / "student").summary_metadata

    tracker = go_on("tensorboard", left.jobs[0], dir=str(folder))
    tracker.log(epochs(1, 2, 3))
    tracker.close("interrupted", "SIGTERM")
    points = read(folder / left.folder.name / left.jobs[0].name / "student").Scalars("loss")
    assert [point.step for point in points] == [1, 2, 3]


def test_mlflow(train, go_on, tmp_path):
    left = train("-m", "T=2,4", "tracker=mlflow", "tracker.mlflow.experiment=mine")
    assert left.code == 0, left.said
    from mlflow.tracking import MlflowClient

    store = tmp_path / "outputs" / "tracking" / "mlflow"
    client = MlflowClient(store.as_uri())
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: str(run.info.run_name))
    assert [run.info.run_name for run in runs] == [job.name for job in left.jobs]

    def told(run: Any, name: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]

    for run, job in zip(runs, left.jobs, strict=True):
        assert run.info.status == "FINISHED"
        assert all(told(run, f"{role}/{name}") == curve(job, role, name) for role in ROLES for name in NUMBERS)
        assert run.data.metrics["result/student/accuracy"] == accuracy(job)
        assert run.data.tags["sweep"] == left.folder.name
        assert run.data.tags["override.T"] == job.name[4]
        assert (run.data.params["T"], run.data.params["hparams.student.lr"]) == (f"{job.name[4]}", "0.002")
        kept = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert kept == {"results.csv", "metrics.csv", "config.resolved.yaml"}

    tracker = go_on("mlflow", left.jobs[0], uri=str(store), experiment="mine")
    tracker.log(epochs(1, 2, 3))  # two of which the job itself has told
    tracker.log(epochs(1, 2, role="peer_2"))
    tracker.close("interrupted", "SIGINT")
    tracker = go_on("mlflow", left.jobs[0], uri=str(store), experiment="mine")
    tracker.log(epochs(1, 2, 3, role="peer_2"))
    tracker.close("interrupted", "SIGTERM")
    run = client.get_run(runs[0].info.run_id)
    assert [epoch for epoch, _ in told(run, "student/loss")] == [1, 2, 3]
    assert [epoch for epoch, _ in told(run, "peer_2/loss")] == [1, 2, 3]
    assert (run.info.status, run.data.tags["error"]) == ("KILLED", "SIGTERM")
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_wandb_offline(train, go_on, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # it keeps settings there
    left = train("-m", "T=2,4", "tracker=wandb")
    assert left.code == 0, left.said
    import wandb

    wandb.teardown()  # its service writes files for a moment after their runs have ended
    folder = tmp_path / "outputs" / "tracking" / "wandb"

    def written() -> dict[str, list[Any]]:
        """By the name of the run."""
        found = {}
        for file in folder.glob("wandb/offline-run-*/run-*.wandb"):
            told = list(messages(file))
            found[next(each.run.display_name for each in told if each.WhichOneof("record_type") == "run")] = told
        return found

    def points(told: list[Any], role: str, name: str) -> list[tuple[int, float]]:
        rows = []
        for each in told:
            row = {"/".join(item.nested_key): json.loads(item.value_json) for item in each.history.item}
            if f"{role}/epoch" in row:
                rows.append((row[f"{role}/epoch"], row[f"{role}/{name}"]))
        return rows

    runs = written()
    assert sorted(runs) == [job.name for job in left.jobs]
    for job in left.jobs:
        told = runs[job.name]
        for role in ROLES:
            for name in NUMBERS:
                assert points(told, role, name) == [(at, pytest.approx(value)) for at, value in curve(job, role, name)]
        run = next(each.run for each in told if each.WhichOneof("record_type") == "run")
        assert run.run_group == left.folder.name
        assert f"T={job.name[4]}" in run.tags
        assert json.loads(next(item.value_json for item in run.config.update if item.key == "T")) == int(job.name[4])
        summary = {item.key: json.loads(item.value_json) for each in told for item in each.summary.update}
        assert summary["result/student/accuracy"] == pytest.approx(accuracy(job))
        assert [each.exit.exit_code for each in told if each.WhichOneof("record_type") == "exit"] == [0]

    # Unless somebody has uploaded it, what an earlier sitting of a run left gives way to one that tells all of it.
    job = tmp_path / "sweep" / "job"
    identity = TrackedRun(job, None, {}, {}, "").identity
    for second, file in ((1, f"run-{identity}.wandb"), (2, f"run-{identity}.wandb.synced")):
        place = folder / "wandb" / f"offline-run-20261121_00000{second}-{identity}"
        place.mkdir()
        (place / file).touch()
    tracker = go_on("wandb", job, dir=str(folder))
    tracker.log([*epochs(1, 2, 3), *epochs(1, 2, role="peer_2")])
    tracker.close("failed", "The loss is nan.")
    wandb.teardown()
    uploaded, fresh = sorted(path.name for path in folder.glob(f"wandb/*-{identity}"))
    assert uploaded == f"offline-run-20261121_000002-{identity}"
    told = list(messages(folder / "wandb" / fresh / f"run-{identity}.wandb"))
    assert points(told, "student", "loss") == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert points(told, "peer_2", "loss") == [(1, 1.0), (2, 0.5)]
    assert {each.metric.glob_name for each in told} >= {"student/*", "peer_2/*"}  # each over epochs of its own
    assert [each.exit.exit_code for each in told if each.WhichOneof("record_type") == "exit"] == [1]
