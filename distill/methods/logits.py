"""Matching logits by squared error: Ba, Caruana 2014, "Do Deep Nets Really Need to be Deep?".

https://arxiv.org/abs/1312.6184, equation 1, as the mean over batch and classes (the paper's 1/2 left out, as
public code does). Unlike soft targets it is not invariant to a constant added to the logits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.methods.base import Method, MethodOptions, check_same_classes, methods
from distill.types import Batch, Output


def logit_matching_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Squared difference, mean over batch and classes, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    return F.mse_loss(student_logits.float(), teacher_logits.float())


@dataclass(frozen=True, kw_only=True)
class LogitsOptions(MethodOptions):
    """Options of `logits`.

    Attributes:
        weight: Of the squared error.
        hard_weight: Of the hard labels.
    """

    name: str = "logits"
    weight: NonNegative = 1.0
    hard_weight: NonNegative = 0.0

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """None: a squared error is one whatever the numbers are."""
        return ()


@methods.register("logits", LogitsOptions)
class LogitMatching(Method):
    """`weight * mse(student, teacher) + hard_weight * cross_entropy`."""

    stacks = frozenset({"weight"})
    unlabelled = True
    options: LogitsOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `logits` and, when it weighs anything, `hard`."""
        losses = {"logits": self.options.weight * logit_matching_loss(student.logits, teacher.logits)}
        if self.options.hard_weight:
            losses["hard"] = self.options.hard_weight * self.hard_loss(student.logits, batch)
        return losses
