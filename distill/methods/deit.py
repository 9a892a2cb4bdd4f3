"""A head of its own for the teacher: Touvron et al. 2021, "Training data-efficient image transformers".

https://arxiv.org/abs/2012.12877, equations 2 (soft) and 3 (hard). The class head learns from the labels and the
distillation head from the teacher; the network's answer is the mean of both. The authors' code divides the soft term
by the number of classes as well; here it is the paper's KL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from distill.config.options import Fraction, Positive
from distill.errors import ConfigError
from distill.methods.base import methods
from distill.methods.hard_teacher import teacher_label_loss
from distill.methods.soft_targets import AlphaOptions, LogitMethod, soft_target_loss
from distill.types import Batch, Output

__all__ = ["Deit", "DeitOptions", "soft_target_loss", "teacher_label_loss"]


@dataclass(frozen=True, kw_only=True)
class DeitOptions(AlphaOptions):
    """Options of `deit`.

    Attributes:
        type: `hard`, the teacher's most likely class as a label; or `soft`, its soft targets at temperature T.
    """

    name: str = "deit"
    type: Literal["hard", "soft"] = "hard"
    T: Positive = 3.0
    alpha: Fraction = 0.5


@methods.register("deit", DeitOptions)
class Deit(LogitMethod):
    """`(1 - alpha) * cross_entropy(class head, labels) + alpha * loss(distillation head, teacher)`."""

    taps = frozenset({"heads"})
    stacks = frozenset({"T", "alpha"})
    options: DeitOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Refuses a student without two heads."""
        if len(student.heads) != 2:
            raise ConfigError(
                "method=deit needs a student with two heads, one for labels and one for the teacher, and this student "
                f"has {len(student.heads) or 'none of its own'}: take model@student=deit, or method=hard_teacher."
            )

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `teacher_label` or `soft`, and `hard`."""
        by_labels, by_teacher = student.heads
        compared = self.compared(Output(by_teacher), teacher)
        if self.options.type == "soft":
            name, taught = "soft", soft_target_loss(*compared, self.T)
        else:
            name, taught = "teacher_label", teacher_label_loss(*compared)
        return {name: self.alpha * taught, "hard": (1 - self.alpha) * self.hard_loss(by_labels, batch)}
