"""Every method through the whole program: same family, another family, a student without feature maps, one example."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from distill.config import tree
from distill.experiments import launch
from distill.methods import methods

# Those with a plan of their own leave other networks, and have tests of their own.
METHODS = [choice.name for choice in tree.choices("method") if not methods.find(choice.name).factory.arranges()]
METHODS.remove("regression")  # likewise: there are classes here
WITHOUT_TEACHER = {"self_distill", "tf_kd"}
# Methods with parameters of their own: whatever the widths, and where those of the two networks differ.
ADAPTED = {
    *("ab", "adversarial", "cc", "crd", "ctkd", "feature_mse", "fitnet", "ft", "layerwise", "ofa", "ofd", "reviewkd"),
    *("self_distill", "vid", "wkd_f"),
}
ADAPTED_TO_WIDTHS = {"fsp", "kdsvd"}
# They export more than the student that was asked for.
REDESIGNED = {"simkd"}
NEEDS_MAPS = {"at", "fsp", "ft", "irg", "kdsvd", "nst", "ofd", "reviewkd", "wkd_f"}
NEEDS_TWO_HEADS = {"deit"}
NEEDS_TWO_LAYERS = {"self_distill"}
NEEDS_OTHER_EXAMPLES = {
    *("ab", "cc", "compose", "dist", "irg", "ofa", "ofd", "pkt", "reviewkd", "rkd", "self_distill", "simkd", "sp"),
    "wkd_f",
}

SAME_FAMILY = ("model@teacher=resnet14", "model@student=resnet8")
OTHER_FAMILY = ("model@teacher=cnn_teacher", "model@student=resnet8", "precision=bf16")
NO_MAPS = ("model@teacher=resnet14", "model@student=mlp_32")
ONE_AT_A_TIME = (*SAME_FAMILY, "hparams.student.batch_size=1", "hparams.student.limit_examples=12")


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """One store for all runs of a process: teachers and baselines train once."""
    return tmp_path_factory.mktemp("every_method") / "store"


@pytest.fixture
def taught(train, store, monkeypatch) -> Callable[..., Run]:
    """`taught("at", *SAME_FAMILY)` runs `distill train method=at ...` and looks at what any method must leave."""
    # What is printed looks the same for every method, and takes as long as a training.
    monkeypatch.setattr(launch, "_show", lambda *_: None)
    return lambda method, *words: Run(method, words, store, train)


class Run:
    """One run of one method, with the store before and after."""

    def __init__(self, method: str, words: tuple[str, ...], store: Path, train: Callable):
        self.method = method
        self.before = Stored(store)
        if method in NEEDS_TWO_HEADS:
            words = tuple("model@student=deit" if word == "model@student=resnet8" else word for word in words)
        self.left = train(f"method={method}", *words, "hparams=smoke", "verbosity=quiet", f"store.dir={store}")
        self.after = Stored(store)

    def is_refused(self) -> None:
        assert self.left.code == 2, self.left.said
        told = [line for line in self.left.said.splitlines() if line.startswith("distill: ")]
        assert len(told) == 1, self.left.said
        assert f"method={self.method}" in told[0]
        assert self.after.networks == self.before.networks  # nothing was trained to find out

    def is_whole(self, read_table: Callable) -> None:
        left = self.left
        assert left.code == 0, left.said
        assert self.before.teachers.items() <= self.after.teachers.items(), "a teacher changed"
        roles = ["baseline", "student"] if self.method in WITHOUT_TEACHER else ["teacher", "baseline", "student"]
        assert [row["role"] for row in left.rows] == roles
        assert {row["status"] for row in left.rows} == {"finished"}
        student = left.row("student")
        weights = load_file(left.folder / "checkpoints/student.safetensors")
        assert all(value.isfinite().all() for value in weights.values())
        if self.method not in REDESIGNED:
            assert int(student["params"]) == int(left.row("baseline")["params"])
            plain = load_file(left.folder / "checkpoints/baseline.safetensors")
            assert {name: value.shape for name, value in weights.items()} == {
                name: value.shape for name, value in plain.items()
            }
            assert any(not torch.equal(weights[name], plain[name]) for name in plain)
        rows = [row for row in read_table(left.folder / "metrics.csv") if row["role"] == "student"]
        assert len(rows) == 2
        for row in rows:
            losses = {name: float(value) for name, value in row.items() if name.startswith("loss") and value}
            assert losses, row
            assert all(map(math.isfinite, losses.values())), losses


class Stored:
    """Which networks the store holds, and the teachers' weights, hashed."""

    def __init__(self, store: Path):
        files = sorted(store.glob("*/weights.safetensors"))
        self.networks = [path.parent.name for path in files]
        teachers = [path for path in files if path.parent.name.startswith("teacher-")]
        self.teachers = {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in teachers}


@pytest.mark.parametrize("method", METHODS)
def test_it_trains_in_the_family_of_its_teacher(taught, read_table, method):
    run = taught(method, *SAME_FAMILY)
    run.is_whole(read_table)
    assert (int(run.left.row("student")["adapters"]) > 0) == (method in ADAPTED)


@pytest.mark.parametrize("method", METHODS)
def test_it_trains_in_another_family_and_in_bf16(taught, read_table, method):
    run = taught(method, *OTHER_FAMILY)
    run.is_whole(read_table)
    assert run.left.row("student")["precision"] == "bf16"
    assert (int(run.left.row("student")["adapters"]) > 0) == (method in ADAPTED | ADAPTED_TO_WIDTHS)


@pytest.mark.parametrize("method", METHODS)
def test_a_student_without_feature_maps_is_taught_or_refused_in_a_sentence(taught, read_table, method):
    run = taught(method, *NO_MAPS)
    if method in NEEDS_MAPS | NEEDS_TWO_HEADS | NEEDS_TWO_LAYERS:
        run.is_refused()
    else:
        run.is_whole(read_table)


@pytest.mark.parametrize("method", METHODS)
def test_one_example_at_a_time_is_taken_or_refused_in_a_sentence(taught, read_table, method):
    run = taught(method, *ONE_AT_A_TIME)
    if method in NEEDS_OTHER_EXAMPLES:
        run.is_refused()
    else:
        run.is_whole(read_table)
