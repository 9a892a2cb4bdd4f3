"""A virtual teacher: Yuan et al. 2020, "Revisiting Knowledge Distillation via Label Smoothing Regularization".

https://arxiv.org/abs/1909.11723, section 5, Tf-KD_reg, equations 9 and 10. A teacher that is always right, and says
nothing else, is a distribution that can be written down: no network is trained for it.

As in the authors' code, which gave the paper's numbers, its probabilities are softened as if they were logits,
`softmax(p / T)`, and the student's are taken at temperature 1; the paper's equation writes both softened. Their
`multiplier` of 100 on CIFAR-100 undoes a mean over classes, which is not taken here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.config.options import Fraction, Positive
from distill.methods.base import main_labels, methods
from distill.methods.soft_targets import LogitMethod, ShareOptions, TemperatureOptions
from distill.types import Batch, Output


def virtual_teacher_loss(student_logits: Tensor, labels: Tensor, correct: float | Tensor, T: float | Tensor) -> Tensor:
    """`KL(softened virtual teacher || student)`, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        labels: `[batch]` int64.
        correct: The teacher's probability of the label; the other classes share the rest evenly.
        T: Temperature of the teacher, > 0.
    """
    student = F.log_softmax(student_logits.float(), dim=1)
    classes = student.shape[1]
    is_label = torch.arange(classes, device=labels.device) == labels[:, None]
    certain = is_label * correct + ~is_label * ((1 - correct) / (classes - 1))
    teacher = F.log_softmax(certain.float() / T, dim=1)
    return (teacher.exp() * (teacher - student)).sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class TfKdOptions(TemperatureOptions, ShareOptions):
    """Options of `tf_kd`.

    Attributes:
        correct: The virtual teacher's probability of the label.
    """

    name: str = "tf_kd"
    T: Positive = 20.0
    alpha: Fraction = 0.1
    correct: Fraction = 0.99


@methods.register("tf_kd", TfKdOptions)
class TfKd(LogitMethod):
    """`(1 - alpha) * cross_entropy + alpha * KL to a virtual teacher`."""

    uses_teacher = False
    stacks = frozenset({"T", "alpha", "correct"})
    options: TfKdOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`; the teacher is not read."""
        soft = virtual_teacher_loss(student.logits, main_labels(batch), self.options.correct, self.T)
        return {
            "soft": self.alpha * soft,
            "hard": (1 - self.alpha) * self.hard_loss(student.logits, batch),
        }
