"""`progress.json`: what it says while a run trains, how often it is written, and that it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill.experiments.display import Display
from distill.results import process
from distill.results.progress import PROGRESS, ProgressFile, read


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are told to."""
    now = [100.0]
    monkeypatch.setattr("distill.results.progress.time.monotonic", lambda: now[0])
    return now


def test_it_says_which_network_trains_how_far_it_is_and_how_long_it_will_take(tmp_path, clock):
    file = ProgressFile(tmp_path)
    file.plan(["teacher", "baseline", "student"])
    file.begin("baseline")
    file.step("baseline", 1, 8, 0.25, 1.5)
    clock[0] += 10
    file.step("baseline", 3, 8, 0.5, 0.5)  # a quarter in ten seconds
    facts = read(tmp_path)
    assert facts is not None
    assert (facts["role"], facts["number"], facts["of"], facts["state"]) == ("baseline", 2, 3, "training")
    assert (facts["epoch"], facts["epochs"], facts["share"], facts["loss"]) == (3, 8, 0.5, 0.5)
    assert facts["seconds_left"] == pytest.approx(20.0)
    assert facts["process"] == process.this()


def test_it_is_written_at_most_once_a_second_but_at_once_when_another_network_begins(tmp_path, clock):
    file = ProgressFile(tmp_path)
    file.begin("teacher")
    clock[0] += 0.5
    file.epoch({"epoch": 1, "loss": 2.0, "test_accuracy": 0.5}, 4)
    assert "epoch" not in (read(tmp_path) or {})
    clock[0] += 0.6
    file.epoch({"epoch": 2, "loss": 1.0, "test_accuracy": 0.6}, 4)
    assert (read(tmp_path) or {})["share"] == 0.5
    file.waiting("student")
    assert {"role": "student", "state": "waiting"}.items() <= (read(tmp_path) or {}).items()


def test_a_folder_that_is_not_there_or_gone_is_no_reason_to_stop(tmp_path):
    with ProgressFile(tmp_path / "gone") as file:
        file.begin("teacher")
    assert list(tmp_path.iterdir()) == []


def test_it_is_there_while_a_run_trains_and_gone_when_it_ends(train, monkeypatch):
    seen: list[dict[str, Any]] = []
    begin = Display.begin

    def look(self: Display, role: str, networks: int = 1) -> None:
        begin(self, role, networks)
        (path,) = Path("outputs").rglob(PROGRESS)
        seen.append(json.loads(path.read_text()))

    monkeypatch.setattr(Display, "begin", look)
    assert train("-m", "hydra/launcher=stacked", "seed=0,1").code == 0
    assert [(facts["role"], facts["networks"]) for facts in seen] == [("stack", 2), ("stack", 2), ("stack", 2)]
    seen.clear()
    assert train("seed=2").code == 0
    assert [(facts["role"], facts["number"]) for facts in seen] == [("teacher", 1), ("baseline", 2), ("student", 3)]
    assert list(Path("outputs").rglob(PROGRESS)) == []
