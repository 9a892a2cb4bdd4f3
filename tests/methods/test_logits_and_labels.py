"""Matching logits, and the teacher's decision as a label, on numbers small enough for paper."""

import math

import pytest
import torch

from distill.methods import create
from distill.types import Batch, Output

STUDENT = Output(torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]))
TEACHER = Output(torch.tensor([[1.0, -1.0], [0.0, 2.0]]))
BATCH = Batch(torch.zeros(2, 1), torch.tensor([1, 1]), torch.arange(2))
# Student: 1/2 and 1/4 on the labels; 1/2 and 1/4 on the teacher's classes 0 and 1.
HARD = (math.log(2) + math.log(4)) / 2
DISTANCE = (1 + 1 + math.log(3) ** 2 + 4) / 4


def test_logits_are_matched_by_mean_squared_error_alone_by_default():
    losses = create("logits")(STUDENT, TEACHER, BATCH)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx({"logits": DISTANCE})


def test_labels_join_at_their_weight():
    losses = create("logits", weight=0.5, hard_weight=2.0)(STUDENT, TEACHER, BATCH)
    expected = {"logits": 0.5 * DISTANCE, "hard": 2 * HARD}
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_alpha_weighs_the_label_of_the_teacher(alpha):
    student = Output(torch.tensor([[math.log(4), 0.0]]))
    batch = Batch(torch.zeros(1, 1), torch.tensor([1]), torch.arange(1))
    losses = create("hard_teacher", alpha=alpha)(student, Output(torch.tensor([[0.2, 0.1]])), batch)
    expected = {"teacher_label": alpha * math.log(5 / 4), "hard": (1 - alpha) * math.log(5)}
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(expected)
