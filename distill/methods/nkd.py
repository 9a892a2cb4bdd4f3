"""Normalised soft targets: Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation".

https://arxiv.org/abs/2303.13005, equation 7. The teacher's probability of the label weighs the student's cross-entropy
with it; the other classes are compared after each side's probabilities of them are made to sum to one. Both parts are
cross-entropies, so that neither is zero where student and teacher agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative, Positive
from distill.methods.base import check_same_classes, main_labels, methods
from distill.methods.soft_targets import LogitMethod, LogitOptions
from distill.methods.target_class import check_three_classes, others, own
from distill.types import Batch, Output


def weighted_label_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """`-p_teacher(label) * log p_student(label)` at temperature 1, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        labels: `[batch]` int64.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student = own(F.log_softmax(student_logits.float(), dim=1), labels)
    teacher = own(F.softmax(teacher_logits.float(), dim=1), labels)
    return -(teacher * student).mean()


def non_target_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, T: float | Tensor
) -> Tensor:
    """`T^2 *` cross-entropy with the teacher among all classes but that of the label, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        labels: `[batch]` int64.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student = F.log_softmax(others(student_logits, labels).float() / T, dim=1)
    teacher = F.softmax(others(teacher_logits, labels).float() / T, dim=1)
    return -T * T * (teacher * student).sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class NkdOptions(LogitOptions):
    """Options of `nkd`.

    Attributes:
        target_weight: Of the cross-entropy that the teacher's probability of the label weighs.
        non_target_weight: Of the other classes among themselves (the paper's gamma).
        hard_weight: Of the hard labels.
    """

    name: str = "nkd"
    T: Positive = 1.0
    target_weight: NonNegative = 1.0
    non_target_weight: NonNegative = 1.5
    hard_weight: NonNegative = 1.0


@methods.register("nkd", NkdOptions)
class Nkd(LogitMethod):
    """`hard_weight * cross_entropy + target_weight * label part + non_target_weight * part of the others`."""

    stacks = frozenset({"T", "target_weight", "non_target_weight", "hard_weight"})
    options: NkdOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Refuses two classes."""
        check_three_classes(student.logits, "nkd")

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `target`, `non_target` and `hard`."""
        options, labels, compared = self.options, main_labels(batch), self.compared(student, teacher)
        return {
            "target": options.target_weight * weighted_label_loss(*compared, labels),
            "non_target": options.non_target_weight * non_target_cross_entropy(*compared, labels, self.T),
            "hard": options.hard_weight * self.hard_loss(student.logits, batch),
        }
