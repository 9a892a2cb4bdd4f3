"""What the formulas of the methods on real-valued targets imply."""

import pytest
import torch
from evidence import invariant
from torch import Tensor

from distill.methods import create
from distill.methods.regression import teacher_bounded_loss
from distill.types import Batch, Mix, Output

TARGETS = torch.tensor([[0.0], [0.0], [0.0], [0.0]])
# Squared errors 1, 4, 0.25 and 1, beside those of the teacher: 4, 1, 0.25 and 1.1.
STUDENT = torch.tensor([[1.0], [2.0], [0.5], [-1.0]])
TEACHER = torch.tensor([[-2.0], [1.0], [-0.5], [1.1**0.5]])
BATCH = Batch(torch.zeros(4, 1), TARGETS, torch.arange(4))


def losses(**options: object) -> dict[str, Tensor]:
    return create("regression", **options)(Output(STUDENT), Output(TEACHER), BATCH)


@invariant("regression")
def both_terms_are_mean_squared_errors_and_alpha_weighs_the_teachers() -> None:
    found = losses(alpha=0.25)
    to_teacher = (9 + 1 + 1 + (1 + 1.1**0.5) ** 2) / 4
    assert found["soft"].item() == pytest.approx(0.25 * to_teacher)
    assert found["hard"].item() == pytest.approx(0.75 * (1 + 4 + 0.25 + 1) / 4)


@invariant("regression")
def the_bound_counts_a_student_that_is_farther_from_the_target_than_the_teacher() -> None:
    # Of the four only the second one's error exceeds the teacher's; equal errors do not.
    assert losses(alpha=1.0, bounded=True)["soft"].item() == pytest.approx(4 / 4)
    # With a margin of 0.05 the third does, with 0.2 the fourth: better by 0.1 is not enough.
    assert losses(alpha=1.0, bounded=True, margin=0.05)["soft"].item() == pytest.approx((4 + 0.25) / 4)
    assert losses(alpha=1.0, bounded=True, margin=0.2)["soft"].item() == pytest.approx((4 + 0.25 + 1) / 4)
    assert losses(alpha=1.0, bounded=True, margin=5.0)["soft"].item() == pytest.approx((1 + 4 + 0.25 + 1) / 4)


@invariant("regression")
def a_student_that_beats_the_teacher_by_more_than_the_margin_has_nothing_to_learn_from_the_bound() -> None:
    student = (0.1 * TEACHER).requires_grad_()
    loss = teacher_bounded_loss(student, TEACHER, TARGETS, margin=0.2)
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None
    assert not student.grad.any()


@invariant("regression")
def errors_of_several_targets_are_their_mean_before_they_meet_the_bound() -> None:
    student, teacher = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 2.0]])  # 4.5 on average beside 4
    assert teacher_bounded_loss(student, teacher, torch.zeros(1, 2)).item() == pytest.approx(4.5)
    assert teacher_bounded_loss(teacher, student, torch.zeros(1, 2)).item() == 0


@invariant("regression")
def targets_of_mixed_examples_are_mixed_in_the_same_shares() -> None:
    mix = Mix(torch.ones(4, 1), torch.full((4,), 0.75))
    student = torch.full((4, 1), 0.25, requires_grad=True)  # the mixed target, of which the gradient is zero
    batch = Batch(torch.zeros(4, 1), TARGETS, torch.arange(4), mix)
    hard = create("none")(Output(student), Output(torch.empty(0)), batch)["hard"]
    hard.backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, torch.zeros(4, 1))
    bounded = create("regression", alpha=1.0, bounded=True)(Output(student.detach()), Output(TEACHER), batch)
    assert bounded["soft"].item() == 0
