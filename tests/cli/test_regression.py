"""A regression through the whole program: what it trains, reports, refuses and exports."""

from __future__ import annotations

import csv
import json
import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from distill import cli
from distill.experiments.saved import open_run
from distill.training import evaluate

DATA = ("dataset=synthetic_regression", "dataset.n_train=160", "dataset.n_test=60", "dataset.limit_transfer=50")
SMALL = (*DATA, "hparams.epochs=3", "hparams.batch_size=25", "verbosity=quiet")
TAUGHT = (*SMALL, "method=regression", "dataset.val_fraction=0.25", "select=best_val")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that tests look at and leave as it is."""
    folder = tmp_path_factory.mktemp("regression")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["distill", "train", *TAUGHT])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    (left,) = (folder / "outputs" / "runs").iterdir()
    return left


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def test_the_table_tells_r2_and_rmse_of_the_kept_weights_in_the_units_of_the_data(run):
    saved = open_run(run)
    data = saved.data()
    assert data.targets is not None
    truth = data.targets.own(data.test.labels)
    known = {row["role"]: row for row in rows(run / "results.csv")}
    assert list(known) == ["teacher", "baseline", "student"]
    for role, row in known.items():
        with torch.inference_mode():
            answers = data.targets.own(saved.network(role)(saved.normalization(data.test.tensor)))
        error = (answers - truth).square().mean().item()
        assert float(row["rmse"]) == pytest.approx(math.sqrt(error), rel=1e-4)
        assert float(row["r2"]) == pytest.approx(1 - error / truth.var(correction=0).item(), abs=1e-5)
        assert (row["accuracy"], row["agreement"], row["nll"]) == ("", "", "")
    gain = 100 * (float(known["student"]["r2"]) - float(known["baseline"]["r2"]))
    assert float(known["student"]["gain"]) == pytest.approx(gain)


def test_the_epoch_with_the_lowest_rmse_on_validation_examples_is_kept(run):
    epochs = [row for row in rows(run / "metrics.csv") if row["role"] == "student"]
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    (student,) = (row for row in rows(run / "results.csv") if row["role"] == "student")
    best = min(epochs, key=lambda row: float(row["val_rmse"]))
    assert student["epoch"] == best["epoch"]
    assert float(student["val_rmse"]) == pytest.approx(float(best["val_rmse"]), rel=1e-5)
    assert json.loads((run / "run.json").read_text())["val_r2"] == pytest.approx(float(best["val_r2"]), rel=1e-5)
    assert {"train_r2", "train_rmse", "test_r2", "loss_soft", "loss_hard"} <= set(epochs[0])


def test_reports_of_every_kind_tell_it_in_its_own_words(distill, run):
    ended = distill("report", str(run), *("--html", "a.html", "--json", "a.json", "--latex", "a.tex", "--csv", "a.csv"))
    assert ended.code == 0, ended.err
    assert "the distilled student explained" in " ".join(ended.out.split())
    assert "trained on the targets alone" in " ".join(ended.out.split())
    assert "RMSE" in ended.out
    found = json.loads(Path("a.json").read_text())
    assert found["chosen_by"] == "val_r2"
    assert set(found["groups"][0]) >= {"r2", "val_r2"}
    assert "Test R2" in Path("a.html").read_text()
    assert "R2 against parameters" in Path("a.html").read_text()
    assert "Test R2 by setting" in Path("a.tex").read_text()


def test_a_card_is_of_a_regression(distill, run):
    assert distill("card", str(run)).code == 0
    card = (run / "card.md").read_text()
    assert "pipeline_tag: tabular-regression" in card
    assert "A regression of y with" in card
    assert "r_squared" in card
    (run / "card.md").unlink()


def test_a_network_is_measured_again_on_the_scale_it_learned(distill, run):
    known = {row["role"]: row for row in rows(run / "results.csv")}
    assert distill("eval", str(run), "--csv", "own.csv").code == 0
    own = {row["role"]: row for row in rows(Path("own.csv"))}
    assert {role: float(row["rmse"]) for role, row in own.items()} == {
        role: pytest.approx(float(row["rmse"]), rel=1e-5) for role, row in known.items()
    }
    # Other training examples have another mean and deviation; the networks answer on those of their own.
    assert distill("eval", str(run), "dataset.n_train=40", "--csv", "other.csv").code == 0
    other = {row["role"]: row for row in rows(Path("other.csv"))}
    assert float(other["student"]["rmse"]) == pytest.approx(float(known["student"]["rmse"]), rel=1e-5)


def test_answers_to_new_inputs_are_in_the_units_of_the_target(distill, run):
    saved = open_run(run)
    inputs = np.random.default_rng(0).random((3, 10), dtype=np.float32)
    np.save("new.npy", inputs)
    assert distill("predict", str(run), "new.npy", "--csv", "new.csv").code == 0
    assert saved.targets is not None
    with torch.inference_mode():
        expected = saved.targets.own(saved.network("student")(saved.normalization(torch.from_numpy(inputs))))
    assert [float(row["y"]) for row in rows(Path("new.csv"))] == pytest.approx(expected.flatten().tolist(), rel=1e-4)
    ended = distill("predict", str(run), "new.npy", "--top", "2")
    assert (ended.code, "answers no labels" in ended.err) == (2, True)


def test_an_exported_file_says_what_its_outputs_mean(distill, run):
    ended = distill("export", str(run), "--format", "safetensors", "--output", "student.safetensors")
    assert ended.code == 0, ended.err
    told = json.loads(Path("student.safetensors.json").read_text())
    assert told["output"]["shape"] == ["batch", 1]
    assert told["targets"]["names"] == ["y"]
    assert told["targets"]["mean"] == pytest.approx([14.4], abs=2)


def test_there_is_nothing_to_look_into_and_that_is_said(distill, run):
    ended = distill("inspect", str(run))
    assert (ended.code, "is a regression, whose networks answer numbers" in ended.err) == (2, True)
    ended = distill("eval", str(run), "shift=noise")
    assert (ended.code, "they are about classes" in ended.err) == (2, True)
    ended = distill("eval", str(run), "dataset=digits")
    assert (ended.code, "learned real-valued targets, and digits has classes" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=hinton"], "method=hinton is not allowed with real-valued targets: it is about classes; give"),
        (["method=crd"], "method=crd is not allowed with real-valued targets"),
        (["method=rkd", "method.soft_weight=1"], "method.soft_weight=1 is not allowed with real-valued targets"),
        (["method=fitnet", "method.stages=two"], "method.stages=two is not allowed with real-valued targets"),
        (["method=compose", "terms=rkd+dkd"], "method=dkd is not allowed with real-valued targets"),
        (["method=none", "hparams.student.label_smoothing=0.1"], "hparams.student.label_smoothing=0.1 is not allowed"),
        (["method=none", "dataset.label_noise=0.1"], "dataset.label_noise=0.1 is not allowed"),
        (["method=regression", "method.margin=1"], "method.margin=1 is not allowed with bounded=false"),
        (["method=regression", "dataset=digits"], "method=regression is not allowed with a data set of classes"),
        (["method=hinton,regression", "-m"], "method=hinton is not allowed with real-valued targets"),
    ],
)
def test_what_is_about_classes_is_refused_before_anything_trains(distill, words, sentence):
    data = [] if "dataset=digits" in words else DATA
    ended = distill("train", *data, "hparams=smoke", *words)
    assert (ended.code, sentence in ended.err) == (2, True), ended.err
    assert not [path for path in ended.left if path.endswith(".safetensors")]


@pytest.mark.parametrize("method", ["logits", "feature_mse", "compose"])
def test_methods_that_read_no_probabilities_simply_work(distill, method):
    words = ["terms=logits+0.5*rkd"] if method == "compose" else []
    ended = distill("train", *SMALL, "hparams.epochs=1", f"method={method}", *words)
    assert ended.code == 0, ended.err
    (table,) = (path for path in ended.left if path.endswith("results.csv"))
    assert all(math.isfinite(float(row["rmse"])) for row in rows(Path(table)))


def test_a_bounded_student_of_several_targets_of_ones_own(distill):
    random = np.random.default_rng(0)
    inputs = random.random((60, 4))
    targets = np.stack([inputs.sum(axis=1), 100 * inputs[:, 0]], axis=1)
    np.savez("mine.npz", x_train=inputs, y_train=targets)
    mine = ["dataset=tensors", "dataset.path=mine.npz", "dataset.task=regression", "dataset.test_fraction=0.25"]
    words = ["method=regression", "method.bounded=true", "method.margin=0.1", "alpha=0.7", "hparams=smoke"]
    ended = distill("train", *mine, "dataset.target_names=[sum,first]", *words)
    assert ended.code == 0, ended.err
    (run,) = (path for path in ended.left if path.endswith("run.json"))
    assert json.loads(Path(run).read_text())["dataset"]["targets"]["names"] == ["sum", "first"]


def test_a_sweep_over_seeds_trains_them_one_by_one_and_tells_their_mean(distill):
    ended = distill("train", *SMALL, "hparams.epochs=1", "method=regression", "seeds=2")
    assert ended.code == 0, ended.err
    assert "Over 2 seeds the distilled student explained" in " ".join((ended.out + ended.err).split())
    assert sum(path.endswith("results.csv") for path in ended.left) == 3


def test_a_training_that_was_stopped_goes_on_bit_for_bit(distill, monkeypatch):
    straight = distill("train", *TAUGHT, "store.dir=straight")
    assert straight.code == 0, straight.err
    asked, total = [], evaluate.total

    def interrupted(*given, **more):
        asked.append(1)
        if len(asked) == 3:  # the first validation after the teacher's second epoch
            signal.raise_signal(signal.SIGTERM)
        return total(*given, **more)

    words = (*TAUGHT, "store.dir=stopped", "checkpoint.minutes=0.00001")
    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "total", interrupted)
        assert distill("train", *words).code == 143
    assert distill("train", *words).code == 0
    for role in ("teacher", "student"):
        first, second = (next(Path(store).glob(f"{role}-*")) for store in ("straight", "stopped"))
        assert first.name == second.name
        assert (first / "weights.safetensors").read_bytes() == (second / "weights.safetensors").read_bytes()
        before, after = (json.loads((folder / "meta.json").read_text())["history"] for folder in (first, second))
        assert [{**row, "seconds": 0} for row in before] == [{**row, "seconds": 0} for row in after]
