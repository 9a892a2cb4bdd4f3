"""Correlation of predictions: Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher" (DIST).

https://arxiv.org/abs/2205.10536, equations 6 to 9. What is to be kept of a teacher is the order and proportion of its
probabilities, between the classes of an example and between the examples of a class, and not their exact size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.methods.base import check_same_classes, methods
from distill.methods.soft_targets import LogitMethod, LogitOptions
from distill.types import Batch, Output

_EPSILON = 1e-8


def correlation_loss(student_logits: Tensor, teacher_logits: Tensor, T: float | Tensor, dim: int) -> Tensor:
    """`T^2 * (1 - Pearson correlation)` of the probabilities along one axis, mean over the other, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.
        dim: 1: between the classes of each example; 0: between the examples of each class, of which it takes two.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student, teacher = (F.softmax(logits.float() / T, dim=1) for logits in (student_logits, teacher_logits))
    student, teacher = (values - values.mean(dim=dim, keepdim=True) for values in (student, teacher))
    sizes = student.norm(dim=dim) * teacher.norm(dim=dim)
    return T * T * (1 - (student * teacher).sum(dim=dim) / (sizes + _EPSILON)).mean()


@dataclass(frozen=True, kw_only=True)
class DistOptions(LogitOptions):
    """Options of `dist`.

    Attributes:
        inter_weight: Of the correlation between the classes of an example (the paper's beta).
        intra_weight: Of the correlation between the examples of a class (the paper's gamma).
        hard_weight: Of the hard labels.
    """

    name: str = "dist"
    inter_weight: NonNegative = 2.0
    intra_weight: NonNegative = 2.0
    hard_weight: NonNegative = 1.0


@methods.register("dist", DistOptions)
class Dist(LogitMethod):
    """`hard_weight * cross_entropy + inter_weight * (1 - r of rows) + intra_weight * (1 - r of columns)`."""

    smallest_batch = 2
    stacks = frozenset({"T", "inter_weight", "intra_weight", "hard_weight"})
    unlabelled = True
    options: DistOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `inter`, `intra` and `hard`."""
        options, compared = self.options, self.compared(student, teacher)
        return {
            "inter": options.inter_weight * correlation_loss(*compared, self.T, dim=1),
            "intra": options.intra_weight * correlation_loss(*compared, self.T, dim=0),
            "hard": options.hard_weight * self.hard_loss(student.logits, batch),
        }
