"""A method that trains another network than the student alone (`simkd`), through the whole program."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from distill.experiments import obtain
from distill.methods.simkd import Reused
from distill.training import evaluate

SMOKE = ("hparams=smoke", "verbosity=quiet", "hparams.limit_examples=64", "hparams.limit_test=64")
SIMKD = ("method=simkd", *SMOKE)
MAPS = ("model@teacher=resnet14", "model@student=resnet8")
TRUNK = 77754 - (64 * 10 + 10)  # resnet8 for one colour, without its classifier
PROJECTOR = (64 * 32 + 2 * 32) + (9 * 32 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
HEAD = 64 * 10 + 10


def weights(left: Any, role: str) -> dict[str, Tensor]:
    return load_file(left.folder / "checkpoints" / f"{role}.safetensors")


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_trunk_projector_and_classifier_are_counted_and_exported_together(train):
    left = train(*SIMKD, *MAPS)
    assert left.code == 0, left.said
    baseline, student = left.row("baseline"), left.row("student")
    assert int(baseline["params"]) == TRUNK + HEAD
    assert int(student["params"]) == TRUNK + PROJECTOR + HEAD
    assert int(student["adapters"]) == 0
    # On 8x8 digits the last map has 2x2 places; a multiply-accumulate counts 2.
    added = 2 * 4 * (64 * 32 + 9 * 32 * 32 + 32 * 64)
    assert int(student["flops"]) == int(baseline["flops"]) + added
    exported, teacher = weights(left, "student"), weights(left, "teacher")
    assert {name.partition(".")[0] for name in exported} == {"trunk", "projector", "head"}
    assert not any(name.startswith("trunk.fc") for name in exported)
    assert equal(_under(exported, "head"), _under(teacher, "fc"))


def _under(tensors: dict[str, Tensor], path: str) -> dict[str, Tensor]:
    return {name.partition(".")[2]: value for name, value in tensors.items() if name.startswith(f"{path}.")}


@pytest.mark.parametrize(
    ("teacher", "student", "precision"),
    [
        ("mlp_64", "mlp_32", "bf16"),
        ("cnn_teacher", "mlp_32", "fp32"),
        ("resnet14", "cnn_student", "bf16"),
        ("mlp_64", "resnet8", "fp32"),
    ],
)
def test_any_student_takes_the_classifier_of_any_teacher(train, teacher, student, precision):
    words = (f"model@teacher={teacher}", f"model@student={student}", f"precision={precision}")
    left = train(*SIMKD, *words, "hparams.student.ema=0.9", "hparams.epochs=1")
    assert left.code == 0, left.said
    taught = weights(left, "teacher")
    kept = _under(weights(left, "student"), "head")
    assert equal(kept, _under(taught, "fc" if teacher == "resnet14" else "classifier"))


def test_a_stopped_training_goes_on_bit_for_bit(train, tmp_path, monkeypatch):
    words = (*SIMKD, "model@teacher=resnet8", "model@student=cnn_student", "checkpoint.minutes=0.0001")
    asked: list[int] = []
    total = evaluate.total

    def interrupted(network, *rest, **more):
        asked.append(int(any(name.startswith("projector") for name, _ in network.named_parameters())))
        if sum(asked) == 1:
            signal.raise_signal(signal.SIGTERM)
        return total(network, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "total", interrupted)
        assert train(*words).code == 128 + signal.SIGTERM
    assert list((tmp_path / "outputs" / "store").glob("student-*.partial/*"))
    ended = train(*words)
    train(*words, "output=straight")
    (path,) = (tmp_path / "straight" / "runs").glob("*/checkpoints/student.safetensors")
    assert equal(weights(ended, "student"), load_file(path))


def test_it_is_reused_and_measured_anew_on_another_device(train, monkeypatch):
    words = (*SIMKD, "model@teacher=mlp_64")
    first = train(*words)
    assert train(*words).row("student")["reused"] == "true"
    monkeypatch.setattr(obtain, "is_described", lambda device, recorded: False)
    again = train(*words)
    assert [row["reused"] for row in again.rows] == ["true"] * 3
    for key in ("signature", "params", "flops", "accuracy"):
        assert again.row("student")[key] == first.row("student")[key]


def test_a_stacked_sweep_trains_it_one_by_one(train):
    sweep = train("-m", *SIMKD, "hydra/launcher=stacked", "method.weight=1,2", "model@teacher=mlp_64")
    assert sweep.code == 0, sweep.said
    assert "2 students mlp-32 one by one: method simkd trains another network than the student alone" in sweep.said
    assert [row["status"] for row in sweep.rows if row["role"] == "student"] == ["finished"] * 2


def test_a_batch_of_one_is_refused_before_anything_trains(train, tmp_path: Path):
    left = train(*SIMKD, *MAPS, "hparams.student.batch_size=1")
    assert left.code == 2
    assert "hparams.student.batch_size=1 is not allowed with method=simkd" in left.said
    assert not list((tmp_path / "outputs").glob("store/*-*"))


@pytest.mark.parametrize("method", ["simkd", "at"])
def test_no_hook_counts_in_what_is_measured_anew(train, monkeypatch, method):
    words = (f"method={method}", *SMOKE, *MAPS)
    train(*words)
    hooks: list[int] = []
    plain = obtain.measure

    def measured(network, *rest, **more):
        hooks.append(sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in network.modules()))
        return plain(network, *rest, **more)

    monkeypatch.setattr(obtain, "is_described", lambda device, recorded: False)
    monkeypatch.setattr(obtain, "measure", measured)
    assert train(*words).code == 0
    assert hooks == [0, 0, int(method == "simkd")]  # by which a trunk hands its map over


def test_the_reused_classifier_never_trains():
    head = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
    network = Reused(nn.Sequential(nn.Linear(4, 3)), "0", None, nn.Sequential(nn.Linear(3, 3)), head).train()
    before = [value.clone() for value in head.state_dict().values()]
    network(torch.randn(5, 4))
    assert network.projector.training
    assert all(torch.equal(value, old) for value, old in zip(head.state_dict().values(), before, strict=True))
