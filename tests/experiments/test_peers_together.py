"""Networks that are trained as one, through the whole program: rows, weights, what is exported, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from distill.experiments.run_folder import RunFolder
from distill.experiments.saved import open_run

SMOKE = ("hparams=smoke", "verbosity=quiet", "hparams.limit_examples=64", "hparams.limit_test=64")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """One store for all runs here: the baseline trains once."""
    return tmp_path_factory.mktemp("together") / "store"


@pytest.fixture
def taught(train, store, monkeypatch) -> Callable[..., Any]:
    monkeypatch.setattr(RunFolder, "draw", lambda self: None)
    return lambda *words: train(*words, *SMOKE, f"store.dir={store}")


def weights(left: Any, role: str) -> dict[str, Tensor]:
    return load_file(left.folder / "checkpoints" / f"{role}.safetensors")


def under(tensors: dict[str, Tensor], path: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{path}."): value for name, value in tensors.items() if name.startswith(f"{path}.")}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def roles(left: Any) -> list[str]:
    assert left.code == 0, left.said
    return sorted(row["role"] for row in left.rows)


def logged(left: Any, read_table: Callable, role: str) -> dict[str, str]:
    rows = [row for row in read_table(left.folder / "metrics.csv") if row["role"] == role]
    assert len(rows) == 2
    return {name: value for name, value in rows[-1].items() if value}


def test_every_peer_is_a_row_and_a_network_of_its_own(taught, read_table):
    left = taught("method=dml", "peers=3", "method.networks=[{name: mlp, widths: [8, 8]}, mlp_64]")
    assert roles(left) == ["baseline", "peer_2", "peer_3", "peers", "student"]
    parts = [weights(left, role) for role in ("student", "peer_2", "peer_3")]
    whole = weights(left, "peers")
    assert all(equal(part, under(whole, f"networks.{number}")) for number, part in enumerate(parts))
    sizes = {row["role"]: int(row["params"]) for row in left.rows}
    assert sizes["peers"] == sizes["student"] + sizes["peer_2"] + sizes["peer_3"]
    assert sizes["student"] == sizes["baseline"]
    assert left.row("peer_2")["model"] == "mlp-8-8"
    for role in ("student", "peer_2", "peer_3"):
        assert {f"loss_hard.{role}", f"loss_mutual.{role}"} <= logged(left, read_table, "peers").keys()


def test_peers_of_one_kind_begin_apart_and_the_student_as_its_baseline(taught, monkeypatch):
    left = taught("method=dml", "hparams.lr=1e-12")
    student, peer, baseline = (weights(left, role) for role in ("student", "peer_2", "baseline"))
    for name, value in student.items():
        torch.testing.assert_close(value, baseline[name], rtol=0, atol=1e-6)
    assert not torch.allclose(student["classifier.weight"], peer["classifier.weight"], atol=1e-3)


def test_teacher_and_student_come_out_of_one_pass(taught, read_table):
    left = taught("method=online", "T=2")
    assert roles(left) == ["baseline", "student", "teacher"]  # the pass itself is no network that anybody wants
    whole = weights(left, "together")
    assert equal(weights(left, "student"), under(whole, "networks.0"))
    assert equal(weights(left, "teacher"), under(whole, "networks.1"))
    assert left.row("teacher")["model"] == "mlp-400"
    assert float(left.row("student")["compression"]) > 1
    assert left.row("student")["agreement"]
    row = logged(left, read_table, "together")
    assert {"loss_soft", "loss_hard", "loss_hard.teacher"} <= row.keys()
    # The curve is the student's.
    assert float(row["test_accuracy"]) == pytest.approx(float(left.row("student")["accuracy"]))


def test_the_average_is_a_network_beside_its_student(taught, read_table):
    left = taught("method=ema", "decay=.9", "model@student=resnet8")
    assert roles(left) == ["average", "baseline", "student"]
    student, average = weights(left, "student"), weights(left, "average")
    assert student.keys() == average.keys()
    assert not equal(student, average)
    row = logged(left, read_table, "pair")
    assert {"loss_hard", "loss_consistency"} <= row.keys()
    assert float(row["test_accuracy"]) == pytest.approx(float(left.row("student")["accuracy"]))


def test_averaged_answers_need_one_network(taught):
    left = taught("method=ema", "method.form=temporal", "model@student=cnn_student")
    assert roles(left) == ["baseline", "student"]
    assert weights(left, "student").keys() == weights(left, "baseline").keys()


def test_the_student_is_one_branch_and_a_plain_network(taught, read_table):
    left = taught("method=one", "branches=2", "model@student=resnet8")
    assert roles(left) == ["baseline", "branches", "student"]
    assert equal(weights(left, "student"), under(weights(left, "branches"), "student"))
    assert weights(left, "student").keys() == weights(left, "baseline").keys()
    assert int(left.row("student")["params"]) == int(left.row("baseline")["params"])
    assert int(left.row("branches")["params"]) > int(left.row("student")["params"])
    assert {"loss_hard", "loss_hard.ensemble", "loss_soft"} <= logged(left, read_table, "branches").keys()
    # Each opens again as what it is.
    saved = open_run(left.folder)
    assert saved.role() == "student"
    inputs = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        plain = saved.network("student")(inputs)
        whole = saved.network("branches")
        torch.testing.assert_close(whole.get_submodule("student")(inputs), plain)
        assert not torch.allclose(whole(inputs), plain)


def test_exits_are_logged_and_left_out_of_the_student(taught, read_table):
    left = taught("method=self_distill", "model@student=resnet8")
    assert roles(left) == ["baseline", "student"]
    assert weights(left, "student").keys() == weights(left, "baseline").keys()
    assert int(left.row("student")["adapters"]) > 0
    row = logged(left, read_table, "student")
    assert {"exit_1_accuracy", "exit_2_accuracy", "loss_hard.exits", "loss_soft", "loss_hint"} <= row.keys()
    assert 0 <= float(row["exit_1_accuracy"]) <= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("method=dml", "peers=1"), "peers=1 is not allowed: a network has nobody to learn from; give 2 or more."),
        (("method=dml", "method.networks=[mlp_64,mlp_30]"), "name 1 more, or give peers=3."),
        (("method=dml", "method.networks=[mlp_46]"), "method.networks=mlp_46 is not allowed: there is no such network"),
        (("method=one", "branches=1"), "branches=1 is not allowed: an ensemble needs 2 or more."),
        (("method=one", "student.widths=[]"), "nobody knows its stages"),
        (("method=one", "hparams.batch_size=1"), "hparams.student.batch_size=1 is not allowed with method=one"),
        (("method=ema", "decay=1"), "decay=1 is not allowed: it must be less than 1."),
        (("method=ema", "method.form=temporal", "method.consistency=kl"), "method.consistency=kl is not allowed"),
        (("method=online", "teacher.train=false", "teacher.checkpoint=x.pt"), "take method=hinton for a teacher that"),
        (("method=self_distill",), "this student is read at one"),
        (("method=dml", "dataset=synthetic_regression"), "method=dml is not allowed with real-valued targets"),
    ],
)
def test_what_cannot_be_is_said_before_anything_trains(taught, store, words, said):
    before = sorted(store.glob("*"))
    left = taught(*words)
    assert left.code == 2
    assert said in left.said
    assert "Traceback" not in left.said
    assert sorted(store.glob("*")) == before


def test_a_sweep_trains_what_its_jobs_share_once(train, store, monkeypatch):
    monkeypatch.setattr(RunFolder, "draw", lambda self: None)
    words = ("hydra/launcher=stacked", "method=dml,self_distill", "model@student=cnn_student")
    left = train("-m", *words, *SMOKE, f"store.dir={store}")
    assert left.code == 0, left.said
    baselines = {row["signature"] for row in left.rows if row["role"] == "baseline"}
    assert len(baselines) == 1
    assert len({row["signature"] for row in left.rows if row["role"] in ("student", "peer_2")}) == 3
