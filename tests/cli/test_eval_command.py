"""`distill eval`: networks that are there already, measured again, elsewhere, and by hand."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli.digits_by_hand import asked, digits
from safetensors.torch import load_file


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["role"]: row for row in csv.DictReader(file)}


def as_bytes(pictures: np.ndarray) -> np.ndarray:
    return np.round(pictures.astype(np.float64) * 255 / 16).astype(np.uint8)


@pytest.fixture
def arrays(tmp_path):
    """Writes a file for `dataset=tensors` in which training and test examples are the same."""

    def write(inputs: np.ndarray, labels: np.ndarray, name: str = "data.npz") -> None:
        np.savez(tmp_path / name, x_train=inputs, y_train=labels, x_test=inputs, y_test=labels)

    return write


NAMES = 'dataset.class_names=["0","1","2","3","4","5","6","7","8","9"]'


def test_the_run_s_own_test_examples_give_what_the_run_itself_measured(distill, trained, tmp_path):
    ended = distill("eval", str(trained), "--csv", "measured.csv")
    assert (ended.code, ended.err, ended.left) == (0, "", ("measured.csv",))
    before, after = table(trained / "results.csv"), table(tmp_path / "measured.csv")
    assert list(after) == list(before) == ["teacher", "baseline", "student"]
    same = ("accuracy", "errors", "val_accuracy", "temperature", "agreement", "agreement_wrong", "gain", "compression")
    for role, row in after.items():
        assert {key: row[key] for key in same} == {key: before[role][key] for key in same}
        for key in ("nll", "brier", "ece", "kl"):
            assert row[key] == before[role][key] == "" or float(row[key]) == pytest.approx(float(before[role][key]))
        assert (row["epochs"], row["signature"]) == ("2", before[role]["signature"])
    assert "Measured on 256 test examples of digits, the data set of the run." in ended.out


def test_keys_of_its_data_set_can_be_changed_and_one_network_asked_for(distill, trained, tmp_path):
    pictures, labels = digits()
    by_hand = (asked(trained, pictures).argmax(1) == labels).mean()
    for words in (("--role", "student", str(trained)), (str(trained / "checkpoints" / "student.safetensors"),)):
        assert distill("eval", *words, "dataset.limit_test=null", "--csv", "all.csv").code == 0
        assert list(table(tmp_path / "all.csv")) == ["student"]
        assert float(table(tmp_path / "all.csv")["student"]["accuracy"]) == by_hand


def test_examples_that_the_networks_may_have_learned_are_no_validation_examples(distill, trained, tmp_path):
    ended = distill("eval", str(trained), "--role", "student", "dataset.val_fraction=0.5", "--csv", "other.csv")
    assert ended.code == 0, ended.err
    row, before = table(tmp_path / "other.csv")["student"], table(trained / "results.csv")["student"]
    assert (row["val_accuracy"], row["temperature"], row["ece_scaled"]) == ("", "", "")
    assert (row["accuracy"], before["val_accuracy"] > "") == (before["accuracy"], True)
    assert "the run divided its data otherwise" in ended.out


def test_other_data_are_seen_as_the_network_learned_to_see_them(distill, trained, tmp_path, arrays):
    """Their white is another number, and all of them are dark: neither their mean nor their spread is used."""
    pictures, labels = digits()
    dark = as_bytes(pictures) // 2
    by_hand = (asked(trained, dark * (16 / 255)).argmax(1) == labels).mean()
    arrays(dark, labels)
    others = ("dataset=tensors", "dataset.path=data.npz", NAMES)
    ended = distill("eval", str(trained), *others, "--role", "student", "--csv", "dark.csv")
    assert ended.code == 0, ended.err
    assert float(table(tmp_path / "dark.csv")["student"]["accuracy"]) == by_hand
    assert "not the data that the networks learned from (digits)" in " ".join(ended.out.split())


def test_weights_that_no_run_left_are_measured_as_the_network_that_is_named(distill, trained, tmp_path):
    weights = load_file(trained / "checkpoints" / "student.safetensors")
    torch.save({"state_dict": weights}, tmp_path / "net.pt")
    # With the same examples set apart, the mean of the others is that of the run.
    same = ("dataset=digits", "dataset.val_fraction=0.2", "dataset.limit_test=256")
    ended = distill("eval", "net.pt", "model=mlp", "model.widths=[32]", *same, "--csv", "net.csv")
    assert ended.code == 0, ended.err
    expected = table(trained / "results.csv")["student"]
    measured = table(tmp_path / "net.csv")["network"]
    for key in ("model", "params", "accuracy", "errors"):
        assert measured[key] == expected[key]


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("", ["RUN|FILE", "distill eval --help"]),
        ("nothing", ["There is no nothing", "outputs/runs"]),
        (".", ["is not a run"]),
        ("RUN/..", ["holds several runs: give the folder of one of them"]),
        ("RUN --role techer", ["--role techer", "teacher, baseline, student"]),
        ("RUN T=3", ["T=3 is not allowed", "dataset="]),
        ("RUN digits", ["'digits' is not an override"]),
        ("RUN model=mlp_32", ["model=mlp_32 is not allowed", "knows its networks"]),
        ("RUN dataset=mnit", ["dataset=mnit", "did you mean 'mnist'?"]),
        ("RUN dataset=null", ["dataset=null is not allowed"]),
        ("RUN device=gpu", ["device=gpu", "cpu, cuda"]),
        ("RUN precision=fp8", ["precision=fp8", "'bf16'"]),
        ("RUN dataset=synthetic", ["10 classes", "synthetic has 5"]),
        ("RUN dataset=synthetic dataset.n_classes=10", ["1x8x8", "are 50"]),
        (
            "RUN dataset=synthetic dataset.n_classes=10 dataset.shape=[1,8,8]",
            ["pictures of bytes", "arrays of numbers"],
        ),
        ("RUN dataset=tensors dataset.path=turned.npz CLASSES", ["class 0 as '0'", "it is '1'", "another order"]),
        ("net.safetensors", ["net.safetensors lies in no run", "give model=NAME"]),
        ("net.safetensors model=mlp_32", ["give dataset=NAME"]),
        ("net.safetensors model=mlp_32 model.widthz=[3] dataset=digits", ["model.widthz", "did you mean 'model.width"]),
        ("net.safetensors model=mlp_64 dataset=digits", ["FILE=net.safetensors does not fit", "64x64"]),
        ("net.safetensors model=mlp_32 dataset=digits --role student", ["--role student is not allowed"]),
    ],
)
def test_a_mistake_is_told_in_one_sentence(distill, trained, tmp_path, arrays, line, fragments):
    shutil.copy(trained / "checkpoints" / "student.safetensors", tmp_path / "net.safetensors")
    arrays(as_bytes(digits()[0]), digits()[1], "turned.npz")
    turned = NAMES.replace('"0","1"', '"1","0"')
    words = [word.replace("RUN", str(trained)).replace("CLASSES", turned) for word in line.split()]
    ended = distill("eval", *words, "--csv", "none.csv")
    assert (ended.code, ended.out, ended.left) == (2, "", ())
    assert len(ended.err.splitlines()) == 1
    for fragment in fragments:
        assert fragment in ended.err


def test_a_run_that_goes_on_has_the_networks_that_it_has_so_far(distill, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "checkpoints" / "student.safetensors").unlink()
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    ended = distill("eval", "run", "--role", "baseline")
    assert ended.code == 0
    assert "The run has not finished: it left only the weights of teacher, baseline." in ended.out
    ended = distill("eval", "run", "--role", "student")
    assert (ended.code, ended.out) == (2, "")
    assert "run has not finished and has teacher, baseline" in ended.err
    shutil.copy(run / "checkpoints" / "teacher.safetensors", run / "best.safetensors")
    assert "give run/checkpoints/ROLE.safetensors" in distill("eval", "run/best.safetensors").err
    shutil.rmtree(run / "checkpoints")
    assert "left no weights" in distill("eval", "run").err
