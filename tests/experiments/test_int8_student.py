"""An int8 student (`method=qat`), through the whole program."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distill import cli
from distill.experiments.run_folder import RunFolder
from distill.experiments.saved import open_run

SMALL = ("hparams=smoke", "verbosity=quiet", "model@teacher=mlp_64", "model@student=mlp_32")
QAT = ("method=qat", *SMALL)


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(RunFolder, "draw", lambda self: None)


def test_the_student_is_there_in_fp32_rounded_after_training_and_trained_with_rounding(
    train, read_table, monkeypatch, capfd
):
    left = train(*QAT)
    assert left.code == 0, left.said
    assert [row["role"] for row in left.rows] == ["teacher", "baseline", "float", "ptq", "student"]
    kept = {role: load_file(left.folder / f"checkpoints/{role}.safetensors") for role in ("float", "ptq", "student")}
    weights = 64 * 32 + 32 * 10
    for role in ("ptq", "student"):
        row = left.row(role)
        integers = [value for value in kept[role].values() if value.dtype == torch.int8]
        assert sum(value.numel() for value in integers) == weights
        assert row["params"] == left.row("float")["params"] == str(weights + 32 + 10)
        assert float(row["size_mb"]) * 1e6 == sum(value.nbytes for value in kept[role].values())
        assert float(row["size_mb"]) < 0.35 * float(left.row("float")["size_mb"])
        assert row["precision"] == "fp32"
    assert any(not torch.equal(kept["ptq"][name], kept["student"][name]) for name in kept["ptq"])
    epochs = {role: left.row(role)["epochs"] for role in kept}
    assert epochs == {"float": "2", "ptq": "0", "student": "1"}  # a tenth, and not less than one
    (row,) = (row for row in read_table(left.folder / "metrics.csv") if row["role"] == "student")
    first = next(row for row in read_table(left.folder / "metrics.csv") if row["role"] == "float")
    assert float(row["lr"]) < 0.0101 * float(first["lr"])

    run = open_run(left.folder)
    data = run.data()
    pictures: Any = data.test.inputs
    inputs = run.normalization(pictures.float())
    for role in ("ptq", "student"):
        with torch.no_grad():
            right = (run.network(role)(inputs).argmax(dim=1) == data.test.labels).float().mean().item()
        assert float(left.row(role)["accuracy"]) == pytest.approx(right)

    export = ["distill", "export", str(left.folder), "--quantize", "int8"]
    monkeypatch.setattr(sys, "argv", export)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "--quantize int8 is not allowed: student computes in int8 already; leave it out." in capfd.readouterr().err
    monkeypatch.setattr(sys, "argv", [*export[:3], "--format", "pt2"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    facts = json.loads((left.folder / "export/student.pt2.json").read_text())
    assert facts["quantization"] == "int8, static, per channel, as trained"
    assert facts["check"]["accuracy"] == float(left.row("student")["accuracy"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("base=at",), "method.base=at is not allowed with method=qat: a student that computes in int8 has nothing"),
        (("base=takd",), "method.base=takd is not allowed with method=qat: it must be a method by which one teacher"),
        (("base=hintn",), "method.base=hintn is not allowed: there is no method called 'hintn' (did you mean 'hinton'"),
        (("method.options={weight: 2}",), "There is no key method.options.weight: hinton has none"),
        (("method.bits=9",), "method.bits=9 is not allowed: it must be less than or equal to 8."),
    ],
)
def test_what_cannot_be_is_refused_before_anything_trains(train, tmp_path, words, sentence):
    left = train(*QAT, *words)
    assert left.code == 2
    assert sentence in left.said
    assert not list(tmp_path.glob("outputs/store/*/weights.safetensors"))


def test_without_torchao_its_extra_is_named(train, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "torchao" else find(name, *more)
    )
    left = train(*QAT)
    assert left.code == 2
    assert left.said.endswith("distill: method=qat needs torchao, an extra: pip install 'distill[qat]'.\n")


def test_several_processes_are_refused(train, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    left = train(*QAT)
    assert left.code == 2
    assert "method=qat trains in one process: start it without torchrun." in left.said
    assert not list(tmp_path.glob("outputs/store/*/weights.safetensors"))
