"""Agreement at three levels: Jin, Wang, Lin 2023, "Multi-Level Logit Distillation" (CVPR 2023).

https://doi.org/10.1109/CVPR52729.2023.02325, section 3.
At several temperatures, on the batch and on a strongly augmented form of it, student and teacher are to agree on each
example, on how alike the examples of the batch are, and on how alike the classes are.

The authors' code differs from the paper: it drops the strong views' terms of batch and class, takes the weak view for
two temperatures of the strong one, and halves terms by a mask that was meant for examples. Here every term counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative, Positive
from distill.methods.base import check_same_classes, methods
from distill.methods.soft_targets import ComparedOptions, LogitMethod, soft_target_loss
from distill.types import Batch, Output


def batch_level_loss(student_logits: Tensor, teacher_logits: Tensor, T: float | Tensor) -> Tensor:
    """Squared distance of `P P^T`, how alike the examples are, divided by their number, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    student, teacher = _probabilities(student_logits, teacher_logits, T)
    return (student @ student.T - teacher @ teacher.T).square().sum() / len(student)


def class_level_loss(student_logits: Tensor, teacher_logits: Tensor, T: float | Tensor) -> Tensor:
    """Squared distance of `P^T P`, how alike the classes are, divided by their number, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    student, teacher = _probabilities(student_logits, teacher_logits, T)
    return (student.T @ student - teacher.T @ teacher).square().sum() / student.shape[1]


def _probabilities(student_logits: Tensor, teacher_logits: Tensor, T: float | Tensor) -> tuple[Tensor, Tensor]:
    check_same_classes(student_logits, teacher_logits)
    return F.softmax(student_logits.float() / T, dim=1), F.softmax(teacher_logits.float() / T, dim=1)


def _temperatures() -> list[float]:
    return [2.0, 3.0, 4.0, 5.0, 6.0]


@dataclass(frozen=True, kw_only=True)
class MlkdOptions(ComparedOptions):
    """Options of `mlkd`.

    Attributes:
        temperatures: At each of which all three are compared.
        instance_weight: Of soft targets.
        batch_weight: Of how alike examples are.
        class_weight: Of how alike classes are.
        hard_weight: Of the hard labels, on each view.
    """

    name: str = "mlkd"
    temperatures: list[Positive] = field(default_factory=_temperatures)
    instance_weight: NonNegative = 0.9
    batch_weight: NonNegative = 0.9
    class_weight: NonNegative = 0.9
    hard_weight: NonNegative = 0.1

    def check(self) -> Iterable[str]:
        """There is a temperature."""
        yield from super().check()
        if not self.temperatures:
            yield "temperatures=[] is not allowed: give one at least."


@methods.register("mlkd", MlkdOptions)
class Mlkd(LogitMethod):
    """Soft targets, likeness of examples and likeness of classes, over temperatures and both views."""

    strong = True
    unlabelled = True
    options: MlkdOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `instance`, `batch`, `class` and `hard`; of the batch alone where no strong view is given."""
        options, views = self.options, [(student, teacher)]
        if student.strong is not None and teacher.strong is not None:
            views.append((student.strong, teacher.strong))
        pairs = [(*self.compared(*view), T) for view in views for T in options.temperatures]
        hard = [self.hard_loss(answered.logits, batch) for answered, _ in views]
        return {
            "instance": options.instance_weight * _sum([soft_target_loss(*pair) for pair in pairs]),
            "batch": options.batch_weight * _sum([batch_level_loss(*pair) for pair in pairs]),
            "class": options.class_weight * _sum([class_level_loss(*pair) for pair in pairs]),
            "hard": options.hard_weight * _sum(hard),
        }


def _sum(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).sum()
