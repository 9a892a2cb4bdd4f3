"""Shifts of the bias of classes that a network never saw, on logits small enough to check by hand."""

import math

import pytest
import torch

from distill.training.class_prior import Unseen, corrected, oracle_shift, prior_shift, unseen


def test_unseen_is_what_the_teacher_saw_and_the_other_did_not():
    known = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2])  # of a class 3 nobody has an example
    found = unseen(torch.tensor([0, 0, 1]), known, 4)
    assert found is not None
    assert (found.classes.tolist(), found.share) == ([False, False, True, False], 0.5)
    assert unseen(known, known, 4) is None


def test_with_the_shift_of_the_prior_the_mean_prediction_is_the_share():
    # Odds of class 1: log 3 and -log 3, so that p = 3/4 and 1/4, on average 1/2, without a shift.
    logits = torch.tensor([[0, math.log(3)], [math.log(3), 0]], dtype=torch.float64)
    second = torch.tensor([False, True])
    assert prior_shift(logits, second, 0.5) == pytest.approx(0, abs=1e-12)
    # With all odds the same a shift s gives sigmoid(odds + s): from 3/4 to 1/10 it takes log(1/9) - log 3.
    same = logits[:1].repeat(5, 1)
    assert prior_shift(same, second, 0.1) == pytest.approx(math.log(1 / 27))


def test_the_shift_of_the_prior_is_one_for_all_unseen_classes_together():
    logits = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)).double() * 3
    classes = torch.tensor([True, False, True, True, False, False])
    shift = prior_shift(logits, classes, 0.83)
    mean = (logits + shift * classes.double()).softmax(dim=1)[:, classes].sum(dim=1).mean()
    assert mean.item() == pytest.approx(0.83, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_shift_on_a_fine_grid_beats_the_oracle(seed):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (60,), generator=random)
    classes = torch.tensor([False, True, False, True])
    logits = torch.randn(60, 4, generator=random).double() + 2 * torch.eye(4)[labels] - 3 * classes

    def right(shift: float) -> int:
        return int(((logits + shift * classes.double()).argmax(dim=1) == labels).sum())

    best = oracle_shift(logits, labels, classes)
    assert right(best) == max(right(number / 100) for number in range(-1500, 1500))
    assert right(best) > right(0)


def test_the_oracle_shifts_nothing_where_that_helps_nobody():
    logits = torch.tensor([[5, 0], [6, 0], [0, -7]], dtype=torch.float64)
    assert oracle_shift(logits, torch.tensor([0, 0, 0]), torch.tensor([False, True])) == 0


def test_an_oracle_beyond_all_turns_stays_near_them():
    logits = torch.tensor([[5, 0], [6, 0]], dtype=torch.float64)
    assert oracle_shift(logits, torch.tensor([1, 1]), torch.tensor([False, True])) == pytest.approx(6.5)


def test_errors_are_counted_for_all_and_for_unseen_classes():
    # Class 2 is unseen; its logit is 4 too low in the second example and 1 too low in the third.
    logits = torch.tensor([[9.0, 0, 0], [4, 0, 0], [1, 0, 0], [0.5, 0, 0]])
    labels = torch.tensor([0, 2, 2, 0])
    found = corrected(logits, labels, Unseen(torch.tensor([False, False, True]), 0.5))
    assert found["classes"] == [2]
    assert found["share"] == 0.5
    assert found["oracle"]["errors"] == 1  # of the last two one must be wrong
    assert found["oracle"]["accuracy"] == 0.75
    assert 4 < found["oracle"]["shift"] < 9
    assert set(found["prior"]) == {"shift", "accuracy", "errors", "unseen_errors"}
