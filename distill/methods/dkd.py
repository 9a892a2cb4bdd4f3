"""Decoupled soft targets: Zhao et al. 2022, "Decoupled Knowledge Distillation".

https://arxiv.org/abs/2203.08679, equation 7. KL falls into two parts, the class of the label against all others
(TCKD) and the others among themselves (NCKD), which get weights of their own: with `target_weight=1` and
`non_target_weight=1 - p_teacher(label)` the sum is the KL it came from. The authors' code takes logarithms of sums of
probabilities, which is infinite in fp32 at a gap of 200 between logits; here all stays in logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.options import Fraction, NonNegative
from distill.methods.base import check_same_classes, main_labels, methods
from distill.methods.soft_targets import LogitMethod, LogitOptions, soft_target_loss
from distill.methods.target_class import check_three_classes, others, own
from distill.types import Batch, Output


def target_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, T: float | Tensor) -> Tensor:
    """`T^2 * KL` between the probabilities of label and no label, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        labels: `[batch]` int64.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student, teacher = (_label_or_not(logits.float() / T, labels) for logits in (student_logits, teacher_logits))
    return T * T * soft_target_loss(student, teacher, 1.0)


def _label_or_not(logits: Tensor, labels: Tensor) -> Tensor:
    """`[batch, 2]` logits: of the label, and of all other classes as one."""
    return torch.cat([own(logits, labels), others(logits, labels).logsumexp(dim=1, keepdim=True)], dim=1)


def non_target_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, T: float | Tensor) -> Tensor:
    """`T^2 * KL` among all classes but that of the label, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        labels: `[batch]` int64.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    return soft_target_loss(others(student_logits, labels), others(teacher_logits, labels), T)


@dataclass(frozen=True, kw_only=True)
class DkdOptions(LogitOptions):
    """Options of `dkd`.

    Attributes:
        target_weight: Of label against no label (the paper's alpha).
        non_target_weight: Of the other classes among themselves (the paper's beta).
        hard_weight: Of the hard labels.
    """

    name: str = "dkd"
    target_weight: NonNegative = 1.0
    non_target_weight: NonNegative = 8.0
    hard_weight: NonNegative = 1.0
    warmup: Fraction = 0.0833


@methods.register("dkd", DkdOptions)
class Dkd(LogitMethod):
    """`hard_weight * cross_entropy + target_weight * TCKD + non_target_weight * NCKD`."""

    stacks = frozenset({"T", "target_weight", "non_target_weight", "hard_weight"})
    options: DkdOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Refuses two classes."""
        check_three_classes(student.logits, "dkd")

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `target`, `non_target` and `hard`."""
        options, labels, compared = self.options, main_labels(batch), self.compared(student, teacher)
        return {
            "target": options.target_weight * target_loss(*compared, labels, self.T),
            "non_target": options.non_target_weight * non_target_loss(*compared, labels, self.T),
            "hard": options.hard_weight * self.hard_loss(student.logits, batch),
        }
