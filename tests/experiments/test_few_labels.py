"""`dataset.labelled`: self-training, and soft targets of examples without a label, through the whole program."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from distill.data import Dataset
from distill.errors import ConfigError
from distill.experiments import run
from distill.experiments.plan import plan
from distill.experiments.run_folder import RunFolder

SMALL = (
    *("dataset.limit_train=200", "dataset.limit_test=50"),
    *("hparams.epochs=2", "hparams.teacher.epochs=8", "hparams.batch_size=20"),
)
FEW = ("dataset.labelled=60", "dataset.limit_transfer=null", *SMALL, "verbosity=quiet")


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(RunFolder, "draw", lambda self: None)


def weights(left, role):
    return load_file(left.folder / "checkpoints" / f"{role}.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_teacher_labels_the_rest_and_the_run_tells_how_well(train):
    left = train("method=self_training", "method.threshold=0.5", *FEW)
    assert left.code == 0, left.said
    assert [row["role"] for row in left.rows] == ["teacher", "baseline", "student"]
    facts = left.facts
    assert {name: facts["dataset"][name] for name in ("train", "transfer", "unlabelled")} == {
        "train": 60,
        "transfer": 60,
        "unlabelled": 140,
    }
    found = facts["pseudo_labels"]["student"]
    assert 0 < found["joined"] < found["unlabelled"] == 140
    assert found["share"] == found["joined"] / 140
    assert found["joined"] == sum(each["joined"] for each in found["by_class"].values())
    right = sum(each["joined"] * each["precision"] for each in found["by_class"].values())
    assert found["precision"] == pytest.approx(right / found["joined"])
    details = json.loads((left.folder / "details.json").read_text(encoding="utf-8"))["networks"]
    assert details["student"]["pseudo_labels"] == found
    assert "pseudo_labels" not in details["teacher"]
    said = (
        f"{found['joined']} of 140 unlabelled examples joined ({found['share']:.1%}), {found['precision']:.1%} of them"
    )
    assert said in left.said
    again = train("method=self_training", "method.threshold=0.5", *FEW)
    assert {row["reused"] for row in again.rows} == {"true"}
    assert said in again.said  # it is known of the stored network


def test_hidden_labels_change_nothing_but_the_report(train, monkeypatch):
    words = ("method=self_training", "method.threshold=0", *FEW)
    before = train(*words)
    loaded = run.loaded

    def permuted(options) -> Dataset:
        data = loaded(options)
        assert data.pool is not None
        assert data.pool.truth is not None
        return replace(data, pool=replace(data.pool, truth=(data.pool.truth + 1) % 10))

    monkeypatch.setattr(run, "loaded", permuted)
    after = train(*words, "store.dir=elsewhere")
    assert {row["reused"] for row in after.rows} == {row["reused"] for row in before.rows}  # trained anew
    for role in ("teacher", "baseline", "student"):
        assert same(weights(before, role), weights(after, role))
        drop = ("run", "seconds", "latency_ms", "latency_p99_ms", "latency_batch_ms", "latency_batch_p99_ms")
        rows = [
            {name: value for name, value in left.row(role).items() if name not in drop and "throughput" not in name}
            for left in (before, after)
        ]
        assert {name for name in rows[0] if rows[0][name] != rows[1][name]} <= {"memory_mb", "energy_wh"}
    precise, wrong = (left.facts["pseudo_labels"]["student"] for left in (before, after))
    assert precise["joined"] == wrong["joined"] == 140
    assert wrong["precision"] < 0.5 < precise["precision"]


def test_a_threshold_of_one_is_the_baseline(train):
    left = train("method=self_training", "method.threshold=1", *FEW)
    assert left.code == 0, left.said
    assert same(weights(left, "student"), weights(left, "baseline"))
    assert "none of 140 unlabelled examples joined" in left.said


def test_soft_targets_reach_examples_without_a_label(train, read_table):
    left = train("method=hinton", *FEW)
    assert left.code == 0, left.said
    rows = [row for row in read_table(left.folder / "metrics.csv") if row["role"] == "student"]
    assert [int(row["step"]) for row in rows] == [10, 20]  # batches of 20 of all 200
    # Of the labelled ones among them, and not of all.
    assert (float(rows[-1]["train_accuracy"]) * 60) % 1 == pytest.approx(0, abs=1e-6)
    student = left.row("student")
    assert float(student["train_agreement"]) > 0


def test_smoke_runs_keep_some_of_both_kinds(train):
    left = train(
        "method=self_training",
        "dataset.labelled=300",
        "dataset.limit_transfer=null",
        "hparams=smoke",
        "verbosity=quiet",
    )
    assert left.code == 0, left.said
    # Of 1,257 and of 957 among them without a label in proportion.
    assert abs(left.facts["pseudo_labels"]["student"]["unlabelled"] - 128 * 957 / 1257) < 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("method=dkd", "dataset.labelled=60"), "method=dkd is not allowed with dataset.labelled=60, as it needs"),
        (("method=takd", "assistants=[mlp_64]", "dataset.labelled=60"), "method=takd is not allowed with"),
        (("method=self_training",), "method=self_training is not allowed without dataset.labelled"),
        (("method=hinton", "dataset.labelled=0"), "dataset.labelled=0 is not allowed"),
        (("method=self_training", "method.threshold=1.5"), "method.threshold=1.5 is not allowed: it must be less than"),
    ],
)
def test_what_no_plan_can_be_made_of_is_told_in_a_sentence(configure, words, sentence):
    with pytest.raises(ConfigError) as told:
        plan(configure(*words))
    assert told.value.problems[0].startswith(sentence)


def test_what_the_data_do_not_allow_is_told_before_anything_trains(train, tmp_path):
    left = train("method=hinton", "dataset.labelled=2000", *SMALL)
    assert left.code == 2
    assert "dataset.labelled=2000 is not allowed: there are 200 training examples" in left.said
    assert not list((tmp_path / "outputs").glob("store/*-*"))
