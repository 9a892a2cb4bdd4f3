"""Two processes that train one network together, against one that trains it alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked import Forked

from distill.models import weights

RUN = (
    "model@student=cnn_student",
    "dataset.augment=crop_flip",
    "hparams=smoke",
    "hparams.batch_size=15",
    "precision=fp32",
    "dataset.val_fraction=0.2",
    "select=best_val",
)


@pytest.fixture
def together(tmp_path) -> Callable[..., Forked]:
    """`together("T=2")` begins `distill train T=2` in two processes that share it."""
    return lambda *words: Forked(words, tmp_path, processes=2)


def _ended(process: Forked) -> str:
    said = process.ended()
    assert process.returncode == 0, said
    return said


def _run(output: Path) -> Path:
    (record,) = output.glob("runs/*/run.json")
    return record.parent


def test_two_processes_give_the_table_of_one(train, read_table, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "distill"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [*torchrun, "train", *RUN, "output=two"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("In this one run") == 1
    alone = train(*RUN)
    two = _run(tmp_path / "two")
    assert json.loads((two / "run.json").read_text())["processes"] == 2
    assert alone.facts["processes"] == 1
    for ours, theirs in zip(read_table(two / "results.csv"), alone.rows, strict=True):
        assert (ours["signature"], ours["epoch"]) == (theirs["signature"], theirs["epoch"])
        for measure in ("nll", "kl", "train_kl"):
            assert ours[measure] == theirs[measure] == "" or float(ours[measure]) == pytest.approx(
                float(theirs[measure]), rel=1e-3
            )
    for ours, theirs in zip(read_table(two / "metrics.csv"), read_table(alone.folder / "metrics.csv"), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)
        assert float(ours["train_accuracy"]) == pytest.approx(float(theirs["train_accuracy"]), abs=0.02)


def test_two_processes_teach_features_as_one_does(together, train, read_table, tmp_path):
    words = ("method=compose", "terms=feature_mse+at", "model@teacher=cnn_student", "teacher.channels=[8,12]")
    _ended(together(*RUN, *words, "output=two"))
    alone = train(*RUN, *words)
    for ours, theirs in zip(read_table(_run(tmp_path / "two") / "results.csv"), alone.rows, strict=True):
        assert ours["signature"] == theirs["signature"]
        assert float(ours["nll"]) == pytest.approx(float(theirs["nll"]), rel=1e-3)
    adapters = [
        weights.load(next(folder.glob("store/student-*")) / "adapters.safetensors")
        for folder in (tmp_path / "two", tmp_path / "outputs")
    ]
    assert adapters[0].keys() == adapters[1].keys() != set()
    for name, value in adapters[0].items():
        torch.testing.assert_close(value, adapters[1][name], rtol=1e-3, atol=1e-4)


def test_two_processes_that_are_stopped_continue_to_the_same_bits(together, tmp_path):
    words = ("hparams.epochs=20", "teacher.dropout=0.2", "dataset.augment=jitter", "model@teacher=mlp_64")
    process = together(*words, "output=stopped")
    seen = next(line for line in process.said if line.startswith("teacher   epoch "))
    process.send_signal(signal.SIGTERM)
    process.ended()
    assert process.returncode != 0
    record = json.loads((_run(tmp_path / "stopped") / "run.json").read_text())
    assert record["status"] == "interrupted", seen
    said = _ended(together(*words, "output=stopped"))
    assert "teacher   epoch  1/20" not in said
    _ended(together(*words, "output=whole"))
    for role in ("teacher", "baseline", "student"):
        newest = max((tmp_path / "stopped" / "runs").iterdir())
        folders = (newest, _run(tmp_path / "whole"))
        one, two = (weights.load(folder / "checkpoints" / f"{role}.safetensors") for folder in folders)
        assert all(torch.equal(one[name], two[name]) for name in one), role


def test_a_mistake_is_told_once(together, tmp_path):
    process = together("T=0")
    said = process.ended()
    assert process.returncode != 0
    assert said.count("distill: T=0 is not allowed: it must be greater than 0.") == 1
    assert "stopped" not in said
    assert not list(tmp_path.glob("outputs/runs/*"))
