"""What the formula of the adversarial method implies."""

import math

import pytest
import torch
from evidence import invariant
from torch import Tensor

from distill.methods import create
from distill.methods.adversarial import discriminator_accuracy, discriminator_loss, reversed_gradient
from distill.types import Batch, Output

BATCH = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 4, 4, 1, 2]), torch.arange(6))


def logits(seed: int) -> Tensor:
    return 2 * torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


@invariant("adversarial")
def who_cannot_be_told_apart_is_told_right_half_of_the_time() -> None:
    same = torch.linspace(-3, 2, 6)
    assert discriminator_accuracy(same, same).item() == 0.5
    assert discriminator_accuracy(torch.full((6,), -1.0), torch.full((6,), 1.0)).item() == 1.0
    assert discriminator_loss(same, same).item() > math.log(2)  # for it is never sure without being wrong
    assert discriminator_loss(torch.zeros(6), torch.zeros(6)).item() == pytest.approx(math.log(2))
    method = create("adversarial")
    torch.manual_seed(0)
    method.adapt(Output(logits(1)), Output(logits(1)))
    method(Output(logits(1)), Output(logits(1)), BATCH)
    assert method.observed()["discriminator_accuracy"].item() == 0.5


@invariant("adversarial")
def the_loss_is_binary_cross_entropy() -> None:
    student, teacher = torch.tensor([0.3, -2.0, 90.0]), torch.tensor([1.0, -0.5, -90.0])
    told, truth = torch.cat([student, teacher]).double(), torch.tensor([0.0, 0, 0, 1, 1, 1]).double()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(told, truth)
    assert discriminator_loss(student, teacher).item() == pytest.approx(expected.item())


@invariant("adversarial")
def the_gradient_of_the_student_is_reversed_and_that_of_the_discriminator_is_not() -> None:
    value = torch.tensor([1.0, -2.0], requires_grad=True)
    (3 * reversed_gradient(value, 0.5)).sum().backward()
    assert value.grad is not None
    assert value.grad.tolist() == [-1.5, -1.5]
    assert torch.equal(reversed_gradient(value, 0.5), value)

    def gradients(weight: float) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        method = create("adversarial", weight=weight, alpha=0.0)
        student = logits(1).requires_grad_()
        method.adapt(Output(student), Output(logits(2)))
        method(Output(student), Output(logits(2)), BATCH)["discriminator"].backward()
        assert student.grad is not None
        own = next(method.parameters()).grad
        assert own is not None
        return student.grad, own

    (plain, own), (double, alike) = gradients(1.0), gradients(2.0)
    assert plain.abs().sum() > 0
    torch.testing.assert_close(double, 2 * plain)
    torch.testing.assert_close(alike, own)
    assert torch.equal(gradients(0.0)[0], torch.zeros(6, 5))
    # Along its own gradient the student becomes harder to tell from the teacher.
    torch.manual_seed(0)
    method = create("adversarial")
    method.adapt(Output(logits(1)), Output(logits(2)))
    before, after = (
        method(Output(each), Output(logits(2)), BATCH)["discriminator"] for each in (logits(1), logits(1) - plain)
    )
    assert after > before


@invariant("adversarial")
def at_the_optimum_of_the_discriminator_the_loss_is_that_of_the_density_ratio() -> None:
    """Where it knows both densities, as for two Gaussians, the loss is ln 2 minus their Jensen-Shannon divergence."""
    random = torch.Generator().manual_seed(3)
    ours, theirs = torch.randn(2, 200_000, generator=random)
    theirs = theirs + 1.0
    ratio = [each - 0.5 for each in (ours, theirs)]  # log of N(1, 1) / N(0, 1)
    best = discriminator_loss(*ratio).item()
    assert best < discriminator_loss(*(1.3 * each for each in ratio)).item()
    assert best < discriminator_loss(*(each + 0.2 for each in ratio)).item()
    # The share told right is that of a threshold halfway: Phi(1/2).
    assert discriminator_accuracy(*ratio).item() == pytest.approx(0.5 * (1 + math.erf(0.5 / math.sqrt(2))), abs=0.003)
