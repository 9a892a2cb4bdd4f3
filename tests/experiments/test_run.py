"""One whole run, in a process of its own, and what it leaves."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from distill.data import datasets, load
from distill.data.batches import Batches
from distill.experiments import obtain
from distill.models import models, weights
from distill.models.networks.mlp import MlpOptions

SMOKE = ("hparams=smoke", "verbosity=quiet")
GIT = ("git", "-c", "user.name=tester", "-c", "user.email=tester@example.org")
# 64-400-10 and 64-32-10, with biases.
PARAMS = {"teacher": 64 * 400 + 400 + 400 * 10 + 10, "baseline": 64 * 32 + 32 + 32 * 10 + 10}
PARAMS["student"] = PARAMS["baseline"]
WORDS = ["train", "hparams=smoke", "T=2", "model@teacher=mlp_400", "model@student=mlp_32"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Begin"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    words = [sys.executable, "-m", "distill", *WORDS]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    (left,) = (folder / "outputs" / "runs").iterdir()
    return left, done


@pytest.fixture(scope="module")
def left(ended) -> Path:
    return ended[0]


@pytest.fixture(scope="module")
def rows(left):
    with (left / "results.csv").open(encoding="utf-8", newline="") as file:
        return {row["role"]: row for row in csv.DictReader(file)}


def test_run_json_tells_what_made_the_run(left):
    facts = json.loads((left / "run.json").read_text(encoding="utf-8"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=left, capture_output=True, text=True, check=True)
    assert facts["run"] == left.name
    assert facts["command"] == "distill " + " ".join(WORDS)
    assert facts["overrides"] == dict(word.split("=") for word in WORDS[1:])
    assert facts["git"] == {"commit": commit.stdout.strip(), "dirty": True}
    assert torch.__version__.startswith(facts["versions"]["torch"])
    assert facts["versions"]["python"] == sys.version.split()[0]
    assert {"distill", "torchvision", "hydra-core", "omegaconf", "numpy"} <= facts["versions"].keys()
    assert (facts["device"]["type"], facts["device"]["threads"]) in {("cpu", 1), ("cuda", 1), ("mps", 1)}
    assert (facts["seed"], facts["status"], facts["error"]) == (0, "finished", None)
    assert facts["teacher_outputs"] == "cached"
    assert (facts["dataset"]["name"], facts["dataset"]["train"], facts["dataset"]["transfer"]) == ("digits", 1257, 300)
    assert facts["started"] <= facts["finished"]


def test_the_saved_config_has_every_reference_followed(left):
    text = (left / "config.resolved.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    assert "${" not in text
    assert (config["method"]["T"], config["T"]) == (2, 2)
    assert config["hparams"]["student"]["epochs"] == config["hparams"]["epochs"] == 2
    assert config["student"]["seed"] == 0


def test_metrics_hold_a_row_for_each_epoch_of_each_network(left, read_table):
    metrics = read_table(left / "metrics.csv")
    assert [(row["role"], row["epoch"]) for row in metrics] == [
        (role, epoch) for role in ("teacher", "baseline", "student") for epoch in ("1", "2")
    ]
    columns = list(metrics[0])
    assert columns[:5] == ["role", "epoch", "step", "seconds", "lr"]
    assert {"loss", "train_accuracy", "val_accuracy", "test_accuracy"} <= set(columns)
    student = metrics[-1]
    parts = [float(value) for name, value in student.items() if name.startswith("loss_") and value]
    assert len(parts) == 2
    assert float(student["loss"]) == pytest.approx(sum(parts), rel=1e-5)
    assert all(float(row["seconds"]) >= 0 for row in metrics)


def test_curves_are_a_picture(left):
    assert (left / "curves.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_the_table_counts_what_each_network_is(rows):
    assert {role: int(row["params"]) for role, row in rows.items()} == PARAMS
    for row in rows.values():
        assert float(row["compression"]) == pytest.approx(PARAMS["teacher"] / int(row["params"]))
        assert float(row["size_mb"]) == pytest.approx(int(row["params"]) * 4 / 1e6)
        assert row["status"] == "finished"
        assert row["epochs"] == "2"
        assert float(row["latency_ms"]) > 0


def test_gain_and_recovered_follow_from_the_accuracies(rows):
    teacher, baseline, student = (float(rows[role]["accuracy"]) for role in ("teacher", "baseline", "student"))
    assert float(rows["student"]["gain"]) == pytest.approx(100 * (student - baseline))
    assert float(rows["student"]["recovered"]) == pytest.approx((student - baseline) / (teacher - baseline))
    assert rows["teacher"]["gain"] == rows["baseline"]["gain"] == rows["baseline"]["recovered"] == ""


def test_only_the_student_has_a_temperature(rows):
    assert [(rows[role]["method"], rows[role]["T"]) for role in rows] == [("none", ""), ("none", ""), ("hinton", "2.0")]


def test_the_checkpoints_are_the_networks_of_the_table(left, rows):
    """Loaded into fresh networks, they make the predictions from which accuracy and agreement came."""
    config = yaml.safe_load((left / "config.resolved.yaml").read_text(encoding="utf-8"))
    options: Any = datasets.find("digits").options(**config["dataset"])
    data = load(options)
    (batch,) = Batches(data.test, 1000, data.normalization, data.augment, 0).in_order()
    predictions = {}
    for role in rows:
        widths = [400] if role == "teacher" else [32]
        network = _mlp(widths)
        weights.load_into(network, left / "checkpoints" / f"{role}.safetensors")
        with torch.no_grad():
            predictions[role] = network.eval()(batch.inputs).argmax(dim=1)
        right = (predictions[role] == batch.labels).float().mean().item()
        assert float(rows[role]["accuracy"]) == pytest.approx(right, abs=1.5 / len(data.test))
    for role in ("baseline", "student"):
        same = (predictions[role] == predictions["teacher"]).float().mean().item()
        assert float(rows[role]["agreement"]) == pytest.approx(same, abs=1.5 / len(data.test))


def _mlp(widths: list[int]) -> torch.nn.Module:
    return models.find("mlp").factory(MlpOptions(name="mlp", widths=widths), (1, 8, 8), 10)


def test_the_terminal_ends_with_a_verdict_and_the_next_step(ended):
    left, done = ended
    said = done.stdout.split()
    assert {"teacher", "baseline", "student"} <= set(said)
    assert "one seed" in " ".join(said)
    assert done.stdout.rstrip().endswith(f"Next: distill report {Path(*left.parts[-3:])}")
    assert "epoch 1/2" in done.stderr
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_second_run_trains_nothing_and_says_so(train):
    first, second = train(*SMOKE), train(*SMOKE)
    assert [row["reused"] for row in first.rows] == ["false"] * 3
    assert [row["reused"] for row in second.rows] == ["true"] * 3
    assert second.said.count("reused from the store") == 3
    for key in ("signature", "accuracy", "agreement"):
        assert [row[key] for row in first.rows] == [row[key] for row in second.rows]
    assert (first.folder / "metrics.csv").read_bytes() == (second.folder / "metrics.csv").read_bytes()


def test_another_temperature_trains_only_a_student(train):
    train(*SMOKE, "T=1")
    again = train(*SMOKE, "T=2")
    assert {row["role"]: row["reused"] for row in again.rows} == {
        "teacher": "true",
        "baseline": "true",
        "student": "false",
    }


def test_without_reuse_everything_is_trained_anew_and_comes_out_the_same(train):
    first, second = train(*SMOKE), train(*SMOKE, "store.reuse=false")
    assert [row["reused"] for row in second.rows] == ["false"] * 3
    for role in PARAMS:
        one, two = (weights.load(left.folder / "checkpoints" / f"{role}.safetensors") for left in (first, second))
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_damaged_network_is_trained_again_with_a_warning(train, tmp_path):
    train(*SMOKE)
    (stored,) = (tmp_path / "outputs" / "store").glob("teacher-*/weights.safetensors")
    stored.unlink()
    stored.write_bytes(b"not weights")
    again = train(*SMOKE)
    assert again.row("teacher")["reused"] == "false"
    assert "warning: The stored teacher" in again.said
    assert again.row("student")["reused"] == "true"


def test_runs_keep_their_weights_when_the_store_forgets(train, tmp_path):
    left = train(*SMOKE)
    for path in (tmp_path / "outputs" / "store").glob("*-*/*"):
        path.unlink()
    assert weights.load(left.folder / "checkpoints" / "student.safetensors")


def test_baseline_and_student_start_from_the_same_weights(train, monkeypatch):
    begun: dict[str, dict[str, torch.Tensor]] = {}
    fit = obtain.fit

    def watch(training, *rest):
        begun[training.role] = {name: value.clone() for name, value in training.network.state_dict().items()}
        return fit(training, *rest)

    monkeypatch.setattr(obtain, "fit", watch)
    assert train(*SMOKE, "model@teacher=mlp_32").code == 0
    baseline, student, teacher = begun["baseline"], begun["student"], begun["teacher"]
    assert all(torch.equal(baseline[name], student[name]) for name in baseline)
    assert not torch.equal(baseline["hidden.0.0.weight"], teacher["hidden.0.0.weight"])


def test_a_given_teacher_is_used_as_it_is(train, tmp_path):
    given = tmp_path / "mine.safetensors"
    before = train(*SMOKE)
    given.write_bytes((before.folder / "checkpoints" / "teacher.safetensors").read_bytes())
    left = train(*SMOKE, f"teacher.checkpoint={given}", "teacher.train=false", "store.dir=another")
    assert f"taken as it is from {given}" in left.said
    assert left.row("teacher")["accuracy"] == before.row("teacher")["accuracy"]
    assert left.row("teacher")["epochs"] == "0"
    assert left.row("student")["accuracy"] == before.row("student")["accuracy"]
    kept = weights.load(left.folder / "checkpoints" / "teacher.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in weights.load(given).items())


def test_without_a_method_the_table_has_teacher_and_baseline(train):
    left = train(*SMOKE, "method=none")
    assert [row["role"] for row in left.rows] == ["teacher", "baseline"]
    assert left.code == 0


def test_a_student_can_start_from_given_weights(train, tmp_path):
    given = tmp_path / "mine.safetensors"
    before = train(*SMOKE)
    given.write_bytes((before.folder / "checkpoints" / "student.safetensors").read_bytes())
    left = train(*SMOKE, f"student.checkpoint={given}")
    assert left.row("teacher")["reused"] == "true"
    assert left.row("baseline")["signature"] != before.row("baseline")["signature"]
