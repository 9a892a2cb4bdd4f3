"""Soft targets at a temperature: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".

https://arxiv.org/abs/1503.02531, section 2. The soft term is multiplied by T^2, as the paper asks, so that
its gradient keeps its size while T varies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import Fraction, NonNegative, Options, Positive
from distill.methods.base import Method, check_same_classes, methods
from distill.types import Batch, Output


def soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, T: float) -> Tensor:
    """`T^2 * KL(softmax(teacher / T) || softmax(student / T))`, mean over the batch, in fp32.

    Zero when both agree up to a constant per example. As T grows it tends to `||zs - zt||^2 / (2 * classes)`
    of the centred logits.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student = F.log_softmax(student_logits.float() / T, dim=-1)
    teacher = F.log_softmax(teacher_logits.float() / T, dim=-1)
    # Written out instead of F.kl_div, which has no vmap rule and divides by batch * classes by default.
    return T**2 * (teacher.exp() * (teacher - student)).sum(dim=-1).mean()


@dataclass(frozen=True, kw_only=True)
class HintonOptions(Options):
    """Options of `hinton`.

    Attributes:
        T: Temperature.
        alpha: Weight of the soft term; the hard term has `1 - alpha`.
    """

    name: str = "hinton"
    T: Positive = 4.0
    alpha: Fraction = 0.9


@methods.register("hinton", HintonOptions)
class Hinton(Method):
    """`(1 - alpha) * cross_entropy + alpha * T^2 * KL`."""

    stacks = frozenset({"T", "alpha"})
    options: HintonOptions

    def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        T, alpha = self.options.T, self.options.alpha
        return {
            "soft": alpha * soft_target_loss(student.logits, teacher.logits, T),
            "hard": (1 - alpha) * self.hard_loss(student.logits, batch),
        }


@dataclass(frozen=True, kw_only=True)
class SoftHardOptions(Options):
    """Options of `soft_hard`.

    Attributes:
        T: Temperature.
        soft_weight: Of the soft targets.
        hard_weight: Of the hard labels.
    """

    name: str = "soft_hard"
    T: Positive = 4.0
    soft_weight: NonNegative = 1.0
    hard_weight: NonNegative = 1.0


@methods.register("soft_hard", SoftHardOptions)
class SoftHard(Method):
    """`hard_weight * cross_entropy + soft_weight * T^2 * KL`: `hinton` with two free weights."""

    stacks = frozenset({"T", "soft_weight", "hard_weight"})
    options: SoftHardOptions

    def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        soft = soft_target_loss(student.logits, teacher.logits, self.options.T)
        return {
            "soft": self.options.soft_weight * soft,
            "hard": self.options.hard_weight * self.hard_loss(student.logits, batch),
        }
