"""Classes that come one task after the other."""

import csv
import json

import pytest
import torch

from distill.data.dataset import load
from distill.data.sources.digits import DigitsOptions
from distill.data.tasks import forgetting, task_accuracies, within_task
from distill.data.variants import variant
from distill.experiments.saved import open_run
from distill.methods import create
from distill.methods.lwf import WithoutForgetting
from distill.models import create as create_network
from distill.models.networks.mlp import MlpOptions
from distill.models.taps import Tapped, default_taps

SMALL = ("hparams=smoke", "verbosity=quiet", "model@student=mlp_32", "hparams.limit_test=null")


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr("distill.experiments.run_folder.RunFolder.draw", lambda self: None)


def test_a_task_has_its_own_training_examples_and_the_test_examples_of_all_until_then():
    options = DigitsOptions(tasks=["0-4", 7, [5, 6]])
    assert options.task_classes == [[0, 1, 2, 3, 4], [7], [5, 6]]
    data = variant(load(options), options, "tasks:[[[0,1,2,3,4],[7],[5,6]],1]")
    assert data.transfer.labels.unique().tolist() == [7]
    assert data.test.labels.unique().tolist() == [0, 1, 2, 3, 4, 7]
    assert data.tasks == ((0, 1, 2, 3, 4), (7,))


def test_a_known_task_leaves_only_its_own_classes_to_choose_from():
    logits = torch.tensor([[1.0, 0.0, 9.0, 8.0], [0.0, 2.0, 9.0, 9.0], [9.0, 9.0, 1.0, 0.0]])
    labels = torch.tensor([0, 0, 3])
    tasks = ((0, 1), (2, 3))
    assert within_task(logits, labels, tasks).argmax(dim=1).tolist() == [0, 1, 2]
    assert task_accuracies(logits, labels, tasks) == [0.5, 0.0]


def test_what_is_forgotten_is_the_mean_loss_on_earlier_tasks():
    assert forgetting([0.9], [0.9]) is None
    assert forgetting([0.9, 0.8, 0.7], [0.5, 0.9, 0.7]) == pytest.approx((0.4 - 0.1) / 2)


def test_each_task_is_a_row_beside_fine_tuning_and_all_at_once(train):
    left = train("method=lwf", "dataset.tasks=[0-3,4-6,7-9]", *SMALL)
    assert left.code == 0, left.said
    roles = ["joint", "task_1", "finetuned_2", "baseline", "lwf_2", "student"]
    assert [row["role"] for row in left.rows] == roles
    details = json.loads((left.folder / "details.json").read_text())["networks"]
    told = {role: details[role]["task_accuracy"] for role in roles}
    assert [len(told[role]) for role in roles] == [3, 1, 2, 3, 2, 3]
    learned = [told["task_1"][0], told["lwf_2"][1]]
    expected = 100 * ((learned[0] - told["student"][0]) + (learned[1] - told["student"][1])) / 2
    assert float(left.row("student")["forgetting"]) == pytest.approx(expected)
    assert left.row("task_1")["forgetting"] == ""
    with (left.folder / "metrics.csv").open() as file:
        last = [row for row in csv.DictReader(file) if row["role"] == "student"][-1]
    assert float(last["test_accuracy"]) == pytest.approx(float(left.row("student")["accuracy"]))
    other = train("method=lwf", "dataset.tasks=[0-3,4-6,7-9]", "method.T=1", *SMALL)
    assert [row["reused"] for row in other.rows] == ["true", "true", "true", "true", "false", "false"]
    assert open_run(left.folder).seen_by("lwf_2").data().test.labels.max() == 6


def test_the_classifier_learns_alone_at_first():
    built = create_network(MlpOptions(name="mlp", widths=[4]), (6,), 4)
    method = create("lwf", head_warmup=0.5)
    assert isinstance(method, WithoutForgetting)
    with Tapped(built, default_taps(built)) as tapped:
        method.build(tapped, tapped, None, torch.tensor([2, 3]))  # type: ignore[arg-type]
    for epoch, trunk in ((0, False), (1, False), (2, True)):
        method.start_epoch(epoch, 4)
        assert [parameter.requires_grad for parameter in built.parameters()] == [trunk, trunk, True, True]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=lwf"], "method=lwf learns one task after the other: give dataset.tasks"),
        (["method=lwf", "dataset.tasks=[0-4]"], "give two tasks at least"),
        (["method=lwf", "dataset.tasks=[0-4,4-9]"], "a class is in two tasks"),
        (["method=lwf", "dataset.tasks=[0-4,5-12]"], "the classes 0..9"),
        (["method=lwf", "dataset.tasks=[0-4,abc]"], "a task is a range"),
        (["method=hinton", "dataset.tasks=[0-4,5-9]"], "of the methods only lwf"),
        (["method=lwf", "dataset.tasks=[0-4,5-9]", "dataset.mixup=0.5"], "mixup and cutmix are not allowed"),
        (["method=lwf", "dataset.tasks=[0-4,5-9]", "hparams.student.hard_loss=weighted"], "hard_loss=weighted"),
        (["method=lwf", "dataset.tasks=[0-4,5-9]", "select=best_val", "dataset.val_fraction=0.2"], "select=best_val"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence_before_anything_trains(refused, words, sentence):
    refused(*words, *SMALL, saying=sentence)
