"""Stacked sweeps: the tables of one-by-one sweeps, whatever could not be stacked, and whatever happens meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distill.data import memory
from distill.experiments import stack
from distill.experiments.store import Store
from distill.training import checkpoint, checkpoints, stackable, stacked

SMOKE = ("-m", "hparams=smoke", "verbosity=quiet")
STACKED = (*SMOKE, "hydra/launcher=stacked")
GRID = ("T=1,4", "alpha=0.3,0.7")
# What two sweeps may differ in: the clock, and what depends on it.
_CLOCK = ("run", "seconds", "reused", "memory_mb", "energy_wh", "throughput", "throughput_batch")
_ROUNDED = ("nll", "ece", "brier", "kl", "train_kl")


def _table(left: Any) -> list[dict[str, str]]:
    rows = [
        {key: value for key, value in row.items() if key not in _CLOCK and not key.startswith("latency")}
        for row in left.rows
    ]
    for row in rows:
        row |= {key: f"{float(row[key]):.4f}" for key in _ROUNDED if row[key]}
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def _weights(output: Path) -> dict[str, dict[str, torch.Tensor]]:
    store = Store(output / "store")
    return {each.folder.name: load_file(each.weights) for each in store.artifacts()}


def _moments(output: Path) -> dict[str, Any]:
    """All of each record that is no clock's."""
    found = {}
    for each in Store(output / "store").artifacts():
        history = [{key: value for key, value in row.items() if key != "seconds"} for row in each.record.history]
        found[each.folder.name] = (history, each.record.predictions, each.record.measures["accuracy"])
    return found


@pytest.mark.usefixtures("unhurried")
def test_a_stacked_sweep_gives_the_table_of_a_sweep_one_by_one(train, tmp_path, read_table):
    alone = train(*SMOKE, *GRID, "output=alone")
    alone = type(alone)(next((tmp_path / "alone" / "sweeps").iterdir()), alone.code)
    together = train(*STACKED, *GRID)
    assert together.code == 0
    assert "stack     4 students mlp-32 as one training (T, alpha differ)" in together.said
    assert "trained in a stack of 4 in " in together.said
    assert _table(together) == _table(alone)

    ours, theirs = _weights(tmp_path / "outputs"), _weights(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    for name, weights in theirs.items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-4, atol=1e-5)
    jobs = list(together.folder.glob("*/results.csv"))
    trained = Counter(row["role"] for job in jobs for row in read_table(job) if row["reused"] == "false")
    assert trained == {"teacher": 1, "baseline": 1, "student": 4}

    later = train(*SMOKE, *GRID)
    assert all(row["reused"] == "true" for job in later.folder.glob("*/results.csv") for row in read_table(job))
    assert not list((tmp_path / "outputs" / "store").glob("*.partial"))
    assert not list(together.folder.glob("*/curves.png"))


def test_seeds_stack_teachers_baselines_and_students(train, tmp_path):
    together = train(*STACKED, "seed=0,1,2")
    assert together.code == 0
    for role, model in (("teachers", "mlp-400"), ("baselines", "mlp-32"), ("students", "mlp-32")):
        assert f"stack     3 {role} {model} as one training (seed differs)" in together.said
    train(*SMOKE, "seed=0,1,2", "output=alone")
    ours, theirs = _weights(tmp_path / "outputs"), _weights(tmp_path / "alone")
    assert len(theirs) == 9
    for name, weights in theirs.items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-3, atol=1e-4)


def test_jobs_that_fail_are_marked_and_spoil_no_other(train):
    sweep = train(*STACKED, "T=1e100,1", "hparams.student.optimizer=sgd", "hparams.student.lr=0.01,0.02,1e30")
    assert sweep.code == 2
    failed = [row["error"] for row in sweep.rows if row["status"] == "failed"]
    assert Counter(error.partition(" is ")[0] for error in failed) == {
        "The loss of the student": 2,
        "The loss of the baseline": 2,
    }
    finished = [row for row in sweep.rows if row["role"] == "student" and row["status"] == "finished"]
    assert len(finished) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("model@student=resnet8", "hparams.limit_examples=32", "T=1,4", "hparams.limit_test=32"),
            "stack     2 students resnet8 one by one: batch norm keeps statistics",
        ),
        (("T=1,4", "hparams.student.accumulate=2"), "stack     2 students mlp-32 one by one: accumulate=2 looks at"),
        (("model@student=mlp_30,mlp_64",), "stack     2 students one by one: no two of them differ in numbers alone"),
    ],
    ids=["batch norm", "accumulation", "shapes"],
)
def test_what_cannot_be_stacked_is_trained_one_by_one_and_said(train, words, said):
    sweep = train(*STACKED, "hparams.epochs=1", *words)
    assert sweep.code == 0
    assert said in sweep.said
    assert "trained in a stack" not in sweep.said
    assert sum(row["role"] == "student" and row["status"] == "finished" for row in sweep.rows) == 2


def test_seeds_of_networks_with_dropout_are_stacked_apart(train):
    sweep = train(*STACKED, "seed=0,1", "T=1,4", "student.dropout=0.3")
    assert sweep.code == 0
    assert sweep.said.count("stack     2 students mlp-32 as one training (T differs)") == 2


def test_a_stack_larger_than_memory_is_divided(train, monkeypatch):
    tried: list[stackable.Trial] = []
    real = stackable.trial

    def trial(trainings: Any) -> stackable.Trial:
        tried.append(real(trainings))
        return tried[-1]

    monkeypatch.setattr(stackable, "trial", trial)
    monkeypatch.setattr(stack, "free_bytes", lambda device: 2.5 * tried[-1].bytes / memory.SHARE)
    sweep = train(*STACKED, "T=1,2,4,8")
    assert sweep.code == 0
    assert "stack     4 students mlp-32 in 2 parts: memory is for 2 at a time" in sweep.said
    assert sweep.said.count("stack     2 students mlp-32 as one training (T differs)") == 2


class _Dead(BaseException):
    """The process ends here."""


def _die(moment: str, patched: pytest.MonkeyPatch) -> None:
    """Ends the process, as far as files can tell, at some moment of a stacked training."""
    if moment == "between members":
        kept, keep = [], stack.Bench._keep

        def keep_two(bench: Any, node: Any, *rest: Any) -> Any:
            if len(kept) == 2:
                raise _Dead
            kept.append(node)
            return keep(bench, node, *rest)

        patched.setattr(stack.Bench, "_keep", keep_two)
        return
    save = stacked._Loop._save

    def save_once(loop: Any) -> None:
        save(loop)
        raise _Dead

    patched.setattr(stacked._Loop, "_save", save_once)
    if moment == "in an epoch":
        patched.setattr(stacked._Loop, "_due", lambda loop: True)


def test_a_sweep_that_died_ends_as_if_it_had_not(train, tmp_path, monkeypatch):
    words = (*STACKED, *GRID, "hparams.student.ema=0.5")
    train(*words, "output=whole")
    whole = tmp_path / "whole"
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "_SHARE_OF_TIME", 1e9)
    for moment in ("in an epoch", "between epochs", "between members"):
        place = f"output={moment.replace(' ', '-')}"
        output = tmp_path / place.removeprefix("output=")
        shutil.copytree(whole / "store", output / "store")
        for folder in output.glob("store/student-*"):
            shutil.rmtree(folder)
        with monkeypatch.context() as patched:
            _die(moment, patched)
            with pytest.raises(_Dead):
                train(*words, place)
        assert len(list(output.glob("store/stack-*.partial"))) == 1
        again = train(*words, place)
        assert again.code == 0
        assert "stack     4 students mlp-32 as one training (T, alpha differ)" in again.said
        ours, theirs = _weights(output), _weights(whole)
        assert ours.keys() == theirs.keys()
        for name, weights in theirs.items():
            assert all(torch.equal(ours[name][key], value) for key, value in weights.items())
        assert _moments(output) == _moments(whole)
        assert not list(output.glob("store/*.partial"))


def test_two_sweeps_at_once_train_every_network_once(start, tmp_path, read_table):
    words = (*STACKED, "T=1,4")
    running = [start(*words) for _ in range(2)]
    assert [process.ended() and process.returncode for process in running] == [0, 0]
    tables = [read_table(path) for path in (tmp_path / "outputs" / "sweeps").glob("*/*/results.csv")]
    trained = Counter(row["role"] for rows in tables for row in rows if row["reused"] == "false")
    assert trained == {"teacher": 1, "baseline": 1, "student": 2}


def test_sigterm_saves_the_stack_and_the_same_command_goes_on(start, tmp_path):
    words = (*STACKED, *GRID, "hparams.student.epochs=2000")
    first = start(*words)
    store = tmp_path / "outputs" / "store"
    while not list(store.glob("stack-*.partial/checkpoint.pt")) and first.returncode is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    said = first.ended()
    assert first.returncode == 143
    assert "give the same command again" in said
    state = checkpoint.load(next(store.glob("stack-*.partial/checkpoint.pt")), pytest.fail)
    assert state is not None
    assert 0 < state["epoch"] < 2000
