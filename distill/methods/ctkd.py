"""A learnt temperature: Li et al. 2023, "Curriculum Temperature for Knowledge Distillation" (CTKD).

https://arxiv.org/abs/2211.16231, equations 3 to 6, with one temperature for all examples. The temperature learns
against the student: its gradient is reversed, so that it makes the loss larger, by a strength that grows from 0 to 1.
T lies between `T_min` and `T_min + T_span`, as in the authors' code: 1 to 21.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.config.options import Fraction, NonNegative, Options, Positive
from distill.methods.base import methods
from distill.methods.soft_targets import ComparedOptions, LogitMethod, ShareOptions, soft_target_loss
from distill.types import Batch, Output


def learnt_temperature(theta: Tensor, strength: float, low: float, span: float) -> Tensor:
    """`low + span * sigmoid(theta)`, whose gradient arrives at `theta` times `-strength`.

    Args:
        theta: Any shape.
        strength: Of the reversal (the paper's lambda), 0..1.
        low: Lowest temperature.
        span: Highest minus lowest.
    """
    fixed = theta.detach()
    return low + span * torch.sigmoid(fixed - strength * (theta - fixed))


@dataclass(frozen=True, kw_only=True)
class CtkdOptions(ComparedOptions, ShareOptions):
    """Options of `ctkd`.

    Attributes:
        T_min: Lowest temperature.
        T_span: Highest temperature minus lowest.
        ramp_share: Share of the epochs over which the reversal grows from 0 to 1.
    """

    name: str = "ctkd"
    T_min: Positive = 1.0
    T_span: NonNegative = 20.0
    ramp_share: Fraction = 0.0417


@methods.register("ctkd", CtkdOptions)
class Ctkd(LogitMethod):
    """`(1 - alpha) * cross_entropy + alpha * T^2 * KL` at a temperature that is learnt."""

    options: CtkdOptions

    def __init__(self, options: Options):
        super().__init__(options)
        self.theta = nn.Parameter(torch.ones(()))

    @property
    def changes(self) -> bool:
        """Always: the reversal grows."""
        return True

    @property
    def strength(self) -> float:
        """Of the reversal in this epoch, 0..1."""
        ramp = self.options.ramp_share * self.epochs
        done = min(1.0, (self.epoch + 1) / ramp) if ramp else 1.0
        return (1 - math.cos(math.pi * done)) / 2

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        T = learnt_temperature(self.theta, self.strength, self.options.T_min, self.options.T_span)
        return {
            "soft": self.alpha * soft_target_loss(*self.compared(student, teacher), T),
            "hard": (1 - self.alpha) * self.hard_loss(student.logits, batch),
        }
