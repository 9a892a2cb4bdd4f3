"""Soft targets of standardised logits: Sun et al. 2024, "Logit Standardization in Knowledge Distillation".

https://arxiv.org/abs/2403.01427, algorithm 1. Each example's logits get mean 0 and deviation 1 first, so that the
student need not match their shift and scale. Any other method on logits takes it with `standardize=true`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from distill.config.options import NonNegative, Positive
from distill.methods.base import methods
from distill.methods.soft_targets import LogitMethod, LogitOptions, soft_target_loss, standardized
from distill.types import Batch, Output


def standardized_soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, T: float | Tensor) -> Tensor:
    """`T^2 * KL` of standardised logits at temperature T, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    return soft_target_loss(standardized(student_logits), standardized(teacher_logits), T)


@dataclass(frozen=True, kw_only=True)
class LskdOptions(LogitOptions):
    """Options of `lskd`.

    Attributes:
        soft_weight: Of the soft targets.
        hard_weight: Of the hard labels.
    """

    name: str = "lskd"
    T: Positive = 2.0
    soft_weight: NonNegative = 9.0
    hard_weight: NonNegative = 0.1
    standardize: Literal[True] = True


@methods.register("lskd", LskdOptions)
class Lskd(LogitMethod):
    """`hard_weight * cross_entropy + soft_weight * T^2 * KL` of standardised logits."""

    stacks = frozenset({"T", "soft_weight", "hard_weight"})
    unlabelled = True
    options: LskdOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        soft = standardized_soft_target_loss(student.logits, teacher.logits, self.T)
        return {
            "soft": self.options.soft_weight * soft,
            "hard": self.options.hard_weight * self.hard_loss(student.logits, batch),
        }
