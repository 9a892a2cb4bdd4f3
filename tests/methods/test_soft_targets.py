"""The loss of Hinton et al. 2015 in closed form."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from distill.methods import create
from distill.methods.hinton import soft_target_loss
from distill.types import Batch, Output

LABELS = torch.tensor([0, 3, 2, 1, 4, 4])


def logits(seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


def losses(name: str, student: Tensor, teacher: Tensor, **options: float) -> dict[str, Tensor]:
    batch = Batch(student, LABELS[: len(student)], torch.arange(len(student)))
    return create(name, **options)(Output(student), Output(teacher), batch)


@pytest.mark.parametrize("T", [0.5, 1.0, 4.0, 20.0])
def test_it_is_zero_when_both_agree_up_to_a_constant_per_example(T):
    teacher = logits(1, scale=3)
    shift = torch.linspace(-20, 20, 6)[:, None]
    student = (teacher + shift).requires_grad_()
    loss = soft_target_loss(student, teacher, T)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6 * T**2)
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6 * T


def test_two_classes_by_hand():
    # Teacher ln 3 : 0 is 3/4 : 1/4 at T = 1, student 0 : 0 is 1/2 : 1/2.
    loss = soft_target_loss(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), 1.0)
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-6)
    # At T = 2 the same probabilities need twice the logits, and the loss is four times as large.
    twice = soft_target_loss(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    assert twice.item() == pytest.approx(4 * loss.item(), rel=1e-6)


@pytest.mark.parametrize("T", [1.0, 4.0])
def test_the_gradient_is_that_of_equation_2_times_T_squared(T):
    student, teacher = logits(1).requires_grad_(), logits(2)
    soft_target_loss(student, teacher, T).backward()
    expected = T * ((student / T).softmax(dim=1) - (teacher / T).softmax(dim=1)) / len(student)
    torch.testing.assert_close(student.grad, expected.detach(), atol=1e-6, rtol=1e-5)


def test_at_high_T_it_is_half_the_squared_distance_of_centred_logits_per_class():
    student, teacher = logits(1) + 5, logits(2) - 3
    # Each example comes with its mirror image, in which the terms of order 1 / T change their sign.
    both = [torch.cat([z, -z]) for z in (student, teacher)]
    zs, zt = (z - z.mean(dim=1, keepdim=True) for z in (student, teacher))
    expected = ((zs - zt) ** 2).sum(dim=1).mean() / (2 * 5)
    torch.testing.assert_close(soft_target_loss(both[0], both[1], 40.0), expected, rtol=3e-3, atol=0)


def test_at_high_T_the_gradient_is_the_difference_of_centred_logits():
    student, teacher = (logits(1, 0.3) + 5).requires_grad_(), logits(2, 0.3) - 3
    soft_target_loss(student, teacher, 100.0).backward()
    zs, zt = (z - z.mean(dim=1, keepdim=True) for z in (student.detach(), teacher))
    expected = (zs - zt) / (5 * len(student))
    assert student.grad is not None
    assert (student.grad - expected).abs().max() < 0.01 * expected.abs().max()


def test_it_does_not_depend_on_how_often_a_batch_is_repeated():
    student, teacher = logits(1), logits(2)
    once = soft_target_loss(student, teacher, 4.0)
    torch.testing.assert_close(soft_target_loss(student.repeat(3, 1), teacher.repeat(3, 1), 4.0), once)


def test_alpha_0_is_cross_entropy():
    student = logits(1)
    total = torch.stack(list(losses("hinton", student, logits(2), alpha=0.0).values())).sum()
    torch.testing.assert_close(total, cross_entropy(student, LABELS))


def test_alpha_1_has_no_gradient_from_the_labels():
    student = logits(1).requires_grad_()
    losses("hinton", student, logits(2), alpha=1.0)["hard"].backward()
    assert student.grad is not None
    assert not student.grad.any()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_weighs_the_soft_term(alpha):
    student, teacher = logits(1), logits(2)
    found = losses("hinton", student, teacher, alpha=alpha, T=3.0)
    torch.testing.assert_close(found["soft"], alpha * soft_target_loss(student, teacher, 3.0))
    torch.testing.assert_close(found["hard"], (1 - alpha) * cross_entropy(student, LABELS))


def test_two_free_weights_hold_alpha_as_a_special_case():
    student, teacher = logits(1), logits(2)
    free = losses("soft_hard", student, teacher, T=2.0, soft_weight=0.7, hard_weight=0.3)
    torch.testing.assert_close(free, losses("hinton", student, teacher, T=2.0, alpha=0.7))


def test_large_logits_stay_finite():
    loss = soft_target_loss(torch.tensor([[3e4, -3e4]]), torch.tensor([[-3e4, 3e4]]), 1.0)
    assert loss.item() == pytest.approx(6e4)


@pytest.mark.parametrize("name", ["hinton", "dkd", "nkd", "dist"])
def test_a_temperature_beyond_all_numbers_makes_a_loss_that_is_not_finite_and_no_error(name):
    told = losses(name, logits(1), logits(2), T=1e200)
    assert not all(value.isfinite() for value in told.values())
