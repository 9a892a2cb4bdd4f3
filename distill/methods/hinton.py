"""Soft targets at a temperature: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network".

https://arxiv.org/abs/1503.02531, section 2. The soft term is multiplied by T^2, as the paper asks, so that
its gradient keeps its size while T varies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.options import NonNegative
from distill.methods.base import methods
from distill.methods.soft_targets import AlphaOptions, LogitMethod, LogitOptions, soft_target_loss
from distill.types import Batch, Output

__all__ = ["Hinton", "HintonOptions", "SoftHard", "SoftHardOptions", "soft_target_loss"]


@dataclass(frozen=True, kw_only=True)
class HintonOptions(AlphaOptions):
    """Options of `hinton`."""

    name: str = "hinton"


@methods.register("hinton", HintonOptions)
class Hinton(LogitMethod):
    """`(1 - alpha) * cross_entropy + alpha * T^2 * KL`; of an example without a label `T^2 * KL` alone."""

    stacks = frozenset({"T", "alpha"})
    unlabelled = True
    options: HintonOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        compared = self.compared(student, teacher)
        if self.hard_labels is not None and self.hard_labels.partial:
            soft = soft_target_loss(*compared, self.T, torch.where(batch.labels < 0, 1.0, self.alpha))
        else:
            soft = self.alpha * soft_target_loss(*compared, self.T)
        return {
            "soft": soft,
            "hard": (1 - self.alpha) * self.hard_loss(student.logits, batch),
        }


@dataclass(frozen=True, kw_only=True)
class SoftHardOptions(LogitOptions):
    """Options of `soft_hard`.

    Attributes:
        soft_weight: Of the soft targets.
        hard_weight: Of the hard labels.
    """

    name: str = "soft_hard"
    soft_weight: NonNegative = 1.0
    hard_weight: NonNegative = 1.0


@methods.register("soft_hard", SoftHardOptions)
class SoftHard(LogitMethod):
    """`hard_weight * cross_entropy + soft_weight * T^2 * KL`: `hinton` with two free weights."""

    stacks = frozenset({"T", "soft_weight", "hard_weight"})
    unlabelled = True
    options: SoftHardOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        soft = soft_target_loss(*self.compared(student, teacher), self.T)
        return {
            "soft": self.options.soft_weight * soft,
            "hard": self.options.hard_weight * self.hard_loss(student.logits, batch),
        }
