"""`distill watch`: what it finds in the folders of runs, what it shows, when it ends, how much it reads."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distill import cli
from distill.errors import DistillError
from distill.results import process, watch
from distill.results.progress import PROGRESS
from distill.results.watch_state import Folder
from distill.results.watch_table import duration, render

from .conftest import three

DEAD = {"pid": 2**22 + 1, "host": process.this()["host"], "started": "long ago"}
WORDS = ["-m", "T=1,2,4", "seed=0,1", "hparams.student.lr=0.1"]


@pytest.fixture
def job(leave, tmp_path) -> Callable[..., Path]:
    """`job(3, "finished")` leaves a job of a sweep of six."""

    def left(number: int, status: str, progress: dict[str, Any] | None = None, **more: Any) -> Path:
        setting = {"T": "124"[number // 2], "seed": str(number % 2), "hparams.student.lr": "0.1"}
        facts = {"process": process.this(), "words": WORDS, "sweep": True, "overrides": setting, **more}
        rows = three(student=0.9 + number / 100) if status == "finished" else None
        folder = leave(f"sweeps/s/{number}_T={setting['T']}", rows, status=status, **facts)
        if progress is not None:
            told = {"role": "student", "state": "training", "updated": time.time(), **progress}
            (folder / PROGRESS).write_text(json.dumps(told))
        return folder

    recipe = tmp_path / "sweeps" / "s" / "multirun.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(
        f"hydra:\n  overrides:\n    task: {json.dumps(WORDS[1:])}\n"
        "  sweeper:\n    _target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper\n"
    )
    return left


def shown(path: Path, width: int = 120, height: int | None = None) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width).print(render(Folder(path).look(), time.time(), height))
    return [" ".join(line.split()) for line in text.getvalue().splitlines()]


def test_a_sweep_is_told_in_numbers_with_its_best_and_each_job_in_a_line(job, tmp_path):
    job(0, "finished", val_accuracy=0.8, seconds=30.0)
    job(1, "finished", val_accuracy=0.7, seconds=50.0)
    job(2, "failed", error="The loss is nan.")
    job(3, "running", {"epoch": 3, "epochs": 30, "share": 0.1, "val_accuracy": 0.55, "seconds_left": 300.0})
    lines = shown(tmp_path)
    assert lines[0] == "sweeps/s lr=0.1"
    assert lines[1].startswith("2 of 6 done, 1 failed, 1 running, 2 not started, about ")
    # Of the seeds of T=1 as one: accuracies .8 and .7 on validation examples, .9 and .91 on test examples.
    assert lines[2] == "best by validation accuracy: T=1, mean of 2 seeds 75.00% (test 90.50%)"
    assert lines[3] == "failed: The loss is nan. (job 2)"
    assert lines[4] == "job settings state val % time"
    assert lines[5:8] == [
        "0 T=1 seed=0 finished 80.00 30 s",
        "1 T=1 seed=1 finished 70.00 50 s",
        "2 T=2 seed=0 failed 20 s",
    ]
    assert lines[8].startswith("3 T=2 seed=1 student 3/30 ")
    assert lines[8].endswith(" 55.00 5 min left")


def test_the_best_is_a_mean_over_seeds_and_not_the_luckiest_of_them(job, tmp_path):
    for number, accuracy in enumerate([0.99, 0.61, 0.85, 0.85]):
        job(number, "finished", val_accuracy=accuracy)
    assert shown(tmp_path)[2] == "best by validation accuracy: T=2, mean of 2 seeds 85.00% (test 92.50%)"
    job(4, "finished", val_accuracy=0.999)  # of T=4, whose other seed is yet to come
    assert shown(tmp_path)[2].startswith("best by validation accuracy: T=2, mean of 2 seeds ")


def test_a_damaged_record_is_told_in_its_row_and_where_it_is_all_there_is_as_a_mistake(job, tmp_path, look):
    (job(0, "finished") / "run.json").write_text('{"status": "fini')
    code, out, err = look("sweeps/s")
    assert (code, out) == (2, "")
    assert err == "distill: sweeps/s/0_T=1/run.json cannot be read: it is damaged, or you may not read it.\n"
    job(1, "finished", val_accuracy=0.8)
    lines = shown(tmp_path)
    assert lines[1].startswith("1 of 6 done, 1 unreadable, 4 not started")
    row = "0 its run.json cannot be read unreadable"
    assert row in lines
    assert "1 T=1 seed=1 finished 80.00 20 s" in lines


def test_without_validation_examples_the_best_is_by_test_accuracy_and_that_is_said(job, tmp_path):
    job(0, "finished", val_accuracy=None)
    job(3, "finished", val_accuracy=None)
    lines = shown(tmp_path)
    assert "best by test accuracy, as no validation examples are held out: T=2 seed=1 93.00%" in lines
    assert "job settings state test % time" in lines


def test_the_time_left_is_what_finished_jobs_took_shared_by_those_that_run_at_once(job, tmp_path):
    now = 1_000_000.0
    for number in range(2):
        job(number, "finished", seconds=40.0)
    for number in (2, 3):
        job(number, "running", started="1970-01-12T13:46:30+00:00")  # ten seconds ago
    (group,) = Folder(tmp_path).look()
    assert (group.total, group.to_come) == (6, 2)
    assert group.seconds_left(now) == pytest.approx((2 * 30 + 2 * 40) / 2)


def test_a_run_whose_process_is_gone_is_interrupted_and_nothing_runs(job, tmp_path):
    folder = job(0, "running", process=DEAD)
    (group,) = Folder(tmp_path).look()
    assert (group.jobs[0].state, group.active) == ("interrupted", False)
    assert "0 of 6 done, 1 interrupted, 5 not started, nothing runs" in shown(folder.parent)


def test_a_run_on_another_machine_runs_while_it_gives_signs(job, tmp_path):
    elsewhere = {"pid": 1, "host": "another machine", "started": None}
    folder = job(0, "running", {"epoch": 1, "epochs": 2, "share": 0.5}, process=elsewhere)
    assert Folder(tmp_path).look()[0].active
    job_began = time.time() - 3600
    (folder / PROGRESS).write_text(json.dumps({"role": "student", "updated": job_began}))
    os.utime(folder / "run.json", (job_began, job_began))
    assert not Folder(tmp_path).look()[0].active


def test_a_sweep_between_two_jobs_still_runs_and_one_whose_command_is_gone_does_not(job, tmp_path):
    job(0, "finished")
    assert Folder(tmp_path).look()[0].active
    job(1, "finished", process=DEAD)
    (tmp_path / "sweeps/s/0_T=1/run.json").write_text((tmp_path / "sweeps/s/1_T=1/run.json").read_text())
    assert not Folder(tmp_path).look()[0].active


def test_many_networks_that_train_as_one_are_told_before_any_job_begins(job, tmp_path):
    facts = {"role": "stack", "networks": 12, "epoch": 3, "epochs": 30, "share": 0.1, "process": process.this()}
    (tmp_path / "sweeps/s" / PROGRESS).write_text(json.dumps({**facts, "val_accuracy": 0.5, "seconds_left": 30.0}))
    lines = shown(tmp_path)
    assert lines[1] == "0 of 6 done, 6 not started, about 30 s left"
    assert lines[2] == "training 12 networks as one, epoch 3/30 (10%), mean val accuracy 50.00%"


def test_where_lines_are_few_running_jobs_stay_and_the_rest_is_counted(job, tmp_path):
    for number in range(5):
        job(number, "finished")
    job(5, "running")
    lines = shown(tmp_path, height=8)
    assert [line for line in lines if line[:1].isdigit() and "done" not in line][-1] == "5 T=4 seed=1 begins"
    assert lines[-1].startswith("… and ")
    assert len(lines) <= 8
    assert max(map(len, shown(tmp_path, width=60))) <= 60


def test_what_is_finished_is_read_once(job, tmp_path, monkeypatch):
    for number in range(5):
        job(number, "finished")
    running = job(5, "running", {"epoch": 1, "epochs": 2, "share": 0.5})
    folder = Folder(tmp_path)
    folder.look()
    read: list[Path] = []
    text = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *rest, **more: (read.append(self), text(self, *rest, **more))[1]
    )
    folder.look()
    assert {path for path in read if tmp_path in path.parents} == {running / PROGRESS, running.parent / PROGRESS}
    (running / "run.json").write_text(json.dumps({**json.loads(text(running / "run.json")), "status": "failed"}))
    assert folder.look()[0].jobs[5].state == "failed"


def test_a_run_of_its_own_is_found_and_names_all_it_was_asked_for(leave, tmp_path):
    facts = {"process": process.this(), "words": ["T=2"], "sweep": False, "overrides": {"T": "2"}}
    leave("runs/r", None, status="running", **facts)
    lines = shown(tmp_path)
    assert lines[0] == "runs/r"
    assert lines[2] == "T=2 begins"


@pytest.fixture
def look(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """`look("--once")` is `distill watch --once` in `tmp_path`: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["distill", "watch", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_a_pipe_gets_one_look(job, look):
    job(0, "running", {"epoch": 1, "epochs": 2, "share": 0.5})
    code, out, err = look("sweeps")
    assert (code, err) == (0, "")
    assert "1 running" in out
    assert "\x1b" not in out


def test_on_a_terminal_it_ends_by_itself_when_nothing_runs_any_more(job, tmp_path, monkeypatch):
    folder = job(0, "running")
    text = io.StringIO()

    def a_second_later(seconds: float) -> None:
        (folder / "run.json").write_text(
            json.dumps({**json.loads((folder / "run.json").read_text()), "status": "failed", "process": DEAD})
        )

    monkeypatch.setattr(watch.time, "sleep", a_second_later)
    watch.watch(tmp_path, Console(file=text, force_terminal=True, width=100, height=20))
    assert "1 running" in text.getvalue()
    assert "1 failed" in text.getvalue()
    assert "Nothing runs any more." in text.getvalue()


def test_ctrl_c_ends_it_without_a_word(job, look, monkeypatch):
    job(0, "running")

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupt)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, err = look("sweeps")
    assert (code, err) == (130, "")


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["."], "There is no run in ."),
        (["--foo"], "unrecognized arguments: --foo"),
        ([".", "sweeps"], "unrecognized arguments: sweeps"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(look, words, fragment):
    code, out, err = look(*words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert fragment in err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.4, "0 s"),
        (99.0, "99 s"),
        (120.0, "2 min"),
        (5400.0, "90 min"),
        (12_000.0, "3 h 20 min"),
        (260_000.0, "3 days"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


def test_a_folder_that_is_not_there():
    with pytest.raises(DistillError, match="no folder"):
        Folder(Path("nowhere"))
