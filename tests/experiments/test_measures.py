"""What a run tells of its networks: columns, details.json, the epoch that was kept; records of older versions."""

import json
from dataclasses import replace

import pytest

from distill.experiments import obtain
from distill.experiments.store import Store
from distill.training.measure import VERSION

SMOKE = ("hparams=smoke", "verbosity=quiet")
HELD_OUT = (*SMOKE, "dataset.val_fraction=0.2")
ROLES = ("teacher", "baseline", "student")


def test_a_run_tells_quality_calibration_costs_and_details(train, read_table):
    left = train(*HELD_OUT, "select=best_val", "hparams.epochs=5", "hparams.limit_test=null")
    assert left.code == 0, left.said
    details = json.loads((left.folder / "details.json").read_text(encoding="utf-8"))["networks"]
    metrics = read_table(left.folder / "metrics.csv")
    counts = left.facts["dataset"]["test_by_class"]
    assert tuple(details) == ROLES
    for role, found in details.items():
        row = left.row(role)
        assert len(found["class_accuracy"]) == 10
        right = sum(share * count for share, count in zip(found["class_accuracy"], counts, strict=True))
        assert right / 540 == pytest.approx(float(row["accuracy"]))
        assert sum(count for _, _, count in found["confusions"]) == int(row["errors"])
        for kind, column in (("raw", "ece"), ("scaled", "ece_scaled")):
            bins = found["reliability"][kind]
            assert sum(count for count, _, _ in bins) == 540
            gap = sum(count * abs(confidence - accuracy) for count, confidence, accuracy in bins) / 540
            assert gap == pytest.approx(float(row[column]))
        assert 0 < float(row["brier"]) < 2
        assert float(row["temperature"]) > 0
        assert row["accuracy_head"] == row["accuracy_mid"] == row["accuracy_tail"] == ""  # digits are balanced
        assert float(row["latency_p99_ms"] or "inf") >= float(row["latency_ms"])
        assert float(row["throughput_batch"]) > 0
        assert "version" not in row
        own = [float(epoch["val_accuracy"]) for epoch in metrics if epoch["role"] == role]
        assert int(row["epochs"]) == 5
        assert int(row["epoch"]) == own.index(max(own)) + 1
        assert float(row["val_accuracy"]) == pytest.approx(max(own))
    assert left.facts["val_accuracy"] == float(left.row("student")["val_accuracy"])
    assert f"epoch {left.row('teacher')['epoch']} of 5 kept" in left.said


def test_without_validation_examples_nothing_is_fitted(train):
    left = train(*SMOKE)
    for row in left.rows:
        assert row["val_accuracy"] == row["temperature"] == row["ece_scaled"] == ""
        assert row["epoch"] == row["epochs"] == "2"
    assert left.facts["val_accuracy"] is None
    details = json.loads((left.folder / "details.json").read_text(encoding="utf-8"))["networks"]
    assert details["student"]["reliability"]["scaled"] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("select=best_val",), "select=best_val is not allowed without validation examples"),
        (("hparams.student.select=best_val",), "hparams.student.select=best_val is not allowed without"),
        (("select=best",), "select=best is not allowed: it must be 'last' or 'best_val'."),
    ],
)
def test_an_epoch_cannot_be_chosen_by_nothing(train, tmp_path, words, sentence):
    left = train(*SMOKE, *words)
    assert left.code == 2
    assert left.said.count(sentence) == 1
    assert not (tmp_path / "outputs" / "store").exists()


def test_a_teacher_that_is_taken_as_it_is_has_no_epoch_to_choose(train, tmp_path):
    before = train(*HELD_OUT)
    given = tmp_path / "mine.safetensors"
    given.write_bytes((before.folder / "checkpoints" / "teacher.safetensors").read_bytes())
    frozen = (f"teacher.checkpoint={given}", "teacher.train=false", "hparams.teacher.select=best_val")
    left = train(*SMOKE, *frozen)
    assert left.code == 0, left.said
    assert (left.row("teacher")["epoch"], left.row("teacher")["epochs"]) == ("", "0")
    assert left.row("teacher")["memory_mb"] == left.row("teacher")["energy_wh"] == ""


def test_a_network_of_an_older_version_is_measured_again_and_not_trained(train, tmp_path, monkeypatch):
    first = train(*HELD_OUT)
    store = Store(tmp_path / "outputs" / "store")
    old = ("params", "size_mb", "flops", "latency_ms", "latency_batch_ms", "batch", "accuracy", "top5", "nll", "ece")
    old = (*old, "errors", "class_accuracy", "precision", "device", "epochs")
    for artifact in store.artifacts():
        known = artifact.record.measures
        store.amend(artifact, replace(artifact.record, measures={name: known[name] for name in old}))
    monkeypatch.setattr(obtain, "fit", lambda *_: pytest.fail("it was trained"))
    again = train(*HELD_OUT)
    assert [row["reused"] for row in again.rows] == ["true"] * 3
    for role in ROLES:
        for name in ("signature", "accuracy", "brier", "ece_scaled", "val_accuracy", "epoch", "kl", "train_agreement"):
            assert again.row(role)[name] == first.row(role)[name], name
    assert all(artifact.record.measures["version"] == VERSION for artifact in store.artifacts())
    monkeypatch.setattr(obtain, "measure", lambda *_, **__: pytest.fail("it was measured"))
    assert train(*HELD_OUT).code == 0


def test_a_stacked_sweep_keeps_the_best_epoch_of_each_member(train, read_table):
    words = ("-m", *HELD_OUT, "select=best_val", "hparams.epochs=4", "T=1,4")
    sweep = train(*words, "hydra/launcher=stacked")
    assert "2 students mlp-32 as one training" in sweep.said
    for job in sweep.folder.glob("*/results.csv"):
        (student,) = [row for row in read_table(job) if row["role"] == "student"]
        reached = [row["val_accuracy"] for row in read_table(job.with_name("metrics.csv")) if row["role"] == "student"]
        assert student["val_accuracy"] == max(reached, key=float)
        assert int(student["epoch"]) == reached.index(student["val_accuracy"]) + 1
        assert student["memory_mb"] == ""
