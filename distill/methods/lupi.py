"""Learning with privileged information: Lopez-Paz et al. 2016, "Unifying distillation and privileged information".

https://arxiv.org/abs/1511.03643, section 4: the teacher sees what nobody will have when the student is used, the whole
picture or another modality, and its soft targets carry it to the student. In the paper as in the authors' code only the
teacher's logits are divided by T, not the student's, as `hinton` does; the factor T^2 is the code's. Who sees what
`dataset.student_view` says, with which every method works; this one insists on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import Fraction, Options, Positive
from distill.errors import ConfigError
from distill.methods.base import HARD, methods
from distill.methods.nodes import WHOLE
from distill.methods.soft_targets import AlphaOptions, LogitMethod
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node


@dataclass(frozen=True, kw_only=True)
class LupiOptions(AlphaOptions):
    """Options of `lupi`."""

    name: str = "lupi"
    T: Positive = 10.0
    alpha: Fraction = 0.5


@methods.register("lupi", LupiOptions)
class Lupi(LogitMethod):
    """`(1 - alpha) * cross_entropy(labels) + alpha * T^2 * cross_entropy(teacher_T)`, each with its own view."""

    options: LupiOptions

    @classmethod
    def plan(cls, options: Options, cast: Cast) -> list[Node]:
        """As for one teacher and one student.

        Raises:
            ConfigError: Both see the same.
        """
        if cast.student.data == WHOLE:
            raise ConfigError(
                "method=lupi needs a student that sees less than its teacher: give dataset.student_view=downsample7, "
                "or another view."
            )
        return super().plan(options, cast)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `imitation` and `hard`."""
        ours, theirs = self.compared(student, teacher)
        imitation = F.cross_entropy(ours, (theirs / self.T).softmax(dim=1))
        return {
            "imitation": self.alpha * (self.T * self.T) * imitation,
            HARD: (1 - self.alpha) * self.hard_loss(student.logits, batch),
        }
