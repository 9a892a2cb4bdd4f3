"""Several trackers at once: what they are told, and what happens when one of them cannot start or breaks."""

from __future__ import annotations

import importlib.util
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tracking.left_behind import curve, table

from distill.errors import DistillError
from distill.experiments.display import Display
from distill.tracking import TrackedRun
from distill.tracking import csv as of_csv
from distill.tracking.csv import CsvOptions
from distill.tracking.fanout import Trackers
from distill.tracking.tensorboard import TensorboardOptions

FILES = Path("outputs/tracking/csv")


def row(role: str, epoch: int, **more: Any) -> dict[str, Any]:
    return {"role": role, "epoch": epoch, "step": epoch, "loss": 1.0 / epoch, "val_accuracy": None, **more}


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """`opened(said)` are trackers of one run: a CSV file; what they warn of goes to `said`."""
    monkeypatch.chdir(tmp_path)

    def start(said: list[str]) -> Trackers:
        options = CsvOptions(name="csv", dir=str(tmp_path))
        trackers = Trackers([options], TrackedRun(tmp_path / "run", None, {}, {}, "distill train"), said.append)
        trackers.start()
        return trackers

    return start


def told(path: Path, name: str = "loss") -> list[tuple[str, str]]:
    return [(line["role"], line["epoch"]) for line in table(path) if line["name"] == name]


def test_every_epoch_is_told_once_in_order_whether_it_is_new_or_known_from_before(opened, tmp_path):
    with opened([]) as trackers:
        trackers.network([row("teacher", 1), row("teacher", 2)])
        trackers.network([row("student", 1)])  # an earlier sitting trained it
        trackers.epoch(row("student", 2))
        trackers.epoch(row("student", 3))
        trackers.network([row("student", number) for number in (1, 2, 3)])
    assert told(tmp_path / "run.csv") == [("teacher", "1"), ("teacher", "2"), *(("student", c) for c in "123")]
    assert told(tmp_path / "run.csv", "val_accuracy") == []


def test_epochs_that_follow_closely_are_handed_over_together(opened, monkeypatch):
    calls: list[int] = []
    monkeypatch.setattr(of_csv.CsvTracker, "log", lambda self, rows: calls.append(len(rows)))
    clock = iter([10.0, 10.0, 10.5, 10.9, 11.1, 11.1, 20.0])
    monkeypatch.setattr("distill.tracking.fanout.time.monotonic", lambda: next(clock))
    with opened([]) as trackers:
        for number in range(1, 5):
            trackers.epoch(row("student", number))
    assert calls == [1, 3]


@pytest.mark.parametrize(
    ("error", "status"), [(DistillError("The loss is nan."), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_run_that_ends_early_ends_for_its_trackers_with_all_its_epochs(opened, tmp_path, error, status):
    def run() -> None:
        with opened([]) as trackers:
            trackers.epoch(row("student", 1))
            trackers.epoch(row("student", 2))
            raise error

    with pytest.raises(type(error)):
        run()
    values = {line["name"]: line["value"] for line in table(tmp_path / "run.csv") if not line["role"]}
    assert values["status"] == status
    assert values["error"] == (str(error) or "KeyboardInterrupt")
    assert told(tmp_path / "run.csv") == [("student", "1"), ("student", "2")]


def test_a_tracker_that_breaks_is_told_of_once_and_costs_nothing_but_itself(train, monkeypatch):
    def broken(*args: Any) -> None:
        raise ConnectionError("the server is gone\nand more")

    monkeypatch.setattr(of_csv.CsvTracker, "log", broken)
    left = train("tracker=[csv,tensorboard]", "verbosity=quiet")
    assert left.code == 0
    assert left.said.count("tracker=csv broke (the server is gone); the run goes on without it.") == 1
    assert json.loads((left.folder / "run.json").read_text())["status"] == "finished"
    assert any(Path("outputs/tracking/tensorboard").rglob("events*"))


def test_a_tracker_that_cannot_start_ends_the_command_before_anything_is_trained(train, monkeypatch):
    def broken(*args: Any) -> None:
        raise RuntimeError("no more licences")

    monkeypatch.setattr(of_csv.CsvTracker, "__init__", broken)
    left = train("tracker=[tensorboard,csv]")
    assert left.code == 2
    assert left.said.splitlines() == [
        "distill: tracker=csv cannot start: no more licences; leave it out, or look at its options with "
        "`distill list trackers csv`."
    ]
    assert not Path("outputs/runs").exists()
    assert not Path("outputs/store").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
@pytest.mark.parametrize("sweep", [(), ("-m", "T=1,2")])
def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it(train, monkeypatch, name, sweep):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted, *rest: None if wanted == name else find(wanted))
    left = train(*sweep, f"tracker=[csv,{name}]")
    assert left.code == 2
    assert left.said == f"distill: tracker={name} needs an extra: pip install 'distill[{name}]'.\n"
    assert not Path("outputs").exists()


def test_a_folder_that_is_called_like_a_package_is_not_taken_for_it(tmp_path, monkeypatch):
    (tmp_path / "tensorboard").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "tensorboard", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(DistillError, match="needs an extra"):
        TensorboardOptions(name="tensorboard").ready()


def test_a_run_that_goes_on_tells_its_trackers_what_an_earlier_sitting_trained(train, monkeypatch):
    epoch = Display.epoch

    def stop(self: Display, row: dict[str, Any], epochs: int) -> None:
        epoch(self, row, epochs)
        if (row["role"], row["epoch"]) == ("student", 2):
            signal.raise_signal(signal.SIGINT)  # a checkpoint is written first

    words = ("tracker=csv", "hparams.student.epochs=4")
    with monkeypatch.context() as patch:
        patch.setattr(Display, "epoch", stop)
        left = train(*words)
    assert left.code == 130
    file = FILES / f"{left.folder.name}.csv"
    assert told(file)[-1] == ("student", "2")
    again = train(f"resume={left.folder}")
    assert (again.code, again.folder) == (0, left.folder)
    student = [(role, epoch) for role, epoch in told(file) if role == "student"]
    assert student == [("student", str(number)) for number, _ in curve(left.folder, "student", "loss")]
    assert len(student) == 4


def test_trackers_are_no_difference_between_settings(train):
    left = train("-m", "T=1,2", "tracker=csv", "tracker.csv.run_name=mine")
    assert left.code == 0, left.said
    for job in left.jobs:
        facts = json.loads((job / "run.json").read_text())
        assert set(facts["overrides"]) == {"T", "hparams", "dataset.val_fraction"}
        assert "tracker" not in job.name
    assert sorted(path.stem for path in (FILES / "mine").iterdir()) == [job.name for job in left.jobs]
    again = train("T=2")
    assert all(line["reused"] == "true" for line in table(again.folder / "results.csv"))
