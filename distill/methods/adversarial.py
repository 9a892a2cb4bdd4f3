"""A critic that learns to tell student from teacher: Xu, Hsu, Huang 2017, "Training Shallow and Thin Networks for
Acceleration via Knowledge Distillation with Conditional Adversarial Networks".

https://arxiv.org/abs/1709.00513. The discriminator reads logits, as in the paper, or embeddings. It learns in the same
pass as the student, whose gradient from it is reversed (Ganin and Lempitsky 2015, https://arxiv.org/abs/1409.7495)
instead of in turns, beside soft targets and hard labels. The paper's discriminator also predicts the label; ours does
not. Weights and widths are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, NonNegative, Options
from distill.methods.adapters import embeddings, fitted
from distill.methods.base import methods
from distill.methods.soft_targets import AlphaOptions, LogitMethod, soft_target_loss
from distill.types import Batch, Output


def reversed_gradient(value: Tensor, strength: float) -> Tensor:
    """`value` itself, whose gradient arrives times `-strength`.

    Args:
        value: Any shape.
        strength: Of the reversal, >= 0.
    """
    fixed = value.detach()
    return fixed - strength * (value - fixed)


def discriminator_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Binary cross-entropy of telling teacher from student, in fp32; at least ln 2 where both are the same.

    Args:
        student: `[batch]` how much an answer of the student looks like the teacher's, a logit.
        teacher: `[batch]` likewise of an answer of the teacher.
    """
    return (F.softplus(student.float()) + F.softplus(-teacher.float())).mean() / 2


def discriminator_accuracy(student: Tensor, teacher: Tensor) -> Tensor:
    """Share of answers whose author is told right, a scalar; exactly 1/2 where both are the same.

    Args:
        student: As for `discriminator_loss`.
        teacher: Likewise.
    """
    return ((student < 0).float() + (teacher >= 0).float()).mean() / 2


@dataclass(frozen=True, kw_only=True)
class AdversarialOptions(AlphaOptions):
    """Options of `adversarial`.

    Attributes:
        weight: How strongly the student learns to be mistaken for the teacher; the discriminator learns alike whatever
            it is.
        sees: What the discriminator looks at: `logits`, or `embedding`; a regressor brings the student's to the
            teacher's width.
        hidden: Width of its two hidden layers.
    """

    name: str = "adversarial"
    weight: NonNegative = 0.1
    sees: Literal["logits", "embedding"] = "logits"
    hidden: Count = 128


@methods.register("adversarial", AdversarialOptions)
class Adversarial(LogitMethod):
    """`(1 - alpha) * cross_entropy + alpha * T^2 * KL + discriminator`, whose gradient is reversed for the student."""

    options: AdversarialOptions
    discriminator: nn.Module
    regressor: nn.Module

    def __init__(self, options: Options):
        super().__init__(options)
        self.taps = frozenset({"embedding"} if self.options.sees == "embedding" else ())

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the discriminator, and a regressor where embeddings differ in width.

        Raises:
            ConfigError: Nobody knows where one of the networks has its embedding, or classes differ.
        """
        ours, theirs = self._read(student, teacher)
        hidden = self.options.hidden
        self.regressor = fitted(ours, theirs)
        self.discriminator = nn.Sequential(
            nn.Linear(theirs.shape[1], hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft`, `discriminator` and `hard`."""
        ours, theirs = self._read(student, teacher)
        answers = torch.cat([reversed_gradient(self.regressor(ours), self.options.weight), theirs.detach()])
        told = self.discriminator(answers)[:, 0].split(len(ours))
        self.observe("discriminator_accuracy", discriminator_accuracy(*told))
        return {
            "soft": self.alpha * soft_target_loss(*self.compared(student, teacher), self.T),
            "discriminator": discriminator_loss(*told),
            "hard": (1 - self.alpha) * self.hard_loss(student.logits, batch),
        }

    def _read(self, student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
        if self.options.sees == "embedding":
            return embeddings(student, teacher, "adversarial")
        return self.compared(student, teacher)
