"""The teacher's decision as a label: Touvron et al. 2021, "Training data-efficient image transformers".

https://arxiv.org/abs/2012.12877, equation 3 (hard-label distillation, there with alpha = 1/2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import Fraction
from distill.methods.base import Method, MethodOptions, check_same_classes, methods
from distill.types import Batch, Output


def teacher_label_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Cross-entropy with the teacher's most likely class, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    return F.cross_entropy(student_logits.float(), teacher_logits.argmax(dim=-1))


@dataclass(frozen=True, kw_only=True)
class HardTeacherOptions(MethodOptions):
    """Options of `hard_teacher`.

    Attributes:
        alpha: Weight of the teacher's label; the true label has `1 - alpha`.
    """

    name: str = "hard_teacher"
    alpha: Fraction = 0.5


@methods.register("hard_teacher", HardTeacherOptions)
class HardTeacher(Method):
    """`(1 - alpha) * cross_entropy(labels) + alpha * cross_entropy(argmax teacher)`."""

    stacks = frozenset({"alpha"})
    options: HardTeacherOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `teacher_label` and `hard`."""
        alpha = self.options.alpha
        return {
            "teacher_label": alpha * teacher_label_loss(student.logits, teacher.logits),
            "hard": (1 - alpha) * self.hard_loss(student.logits, batch),
        }
