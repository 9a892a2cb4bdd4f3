"""No distillation: cross-entropy with the labels, which is what teacher and baseline learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from distill.config.options import Options
from distill.methods.base import Method, methods
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node


@dataclass(frozen=True, kw_only=True)
class NoneOptions(Options):
    """There is nothing to choose."""

    name: str = "none"


@methods.register("none", NoneOptions)
class LabelsOnly(Method):
    """Cross-entropy with the hard labels."""

    uses_teacher = False
    unlabelled = True
    stacks = frozenset()

    @classmethod
    def plan(cls, options: Options, cast: Cast) -> list[Node]:
        """The teacher, for reference, and the student as it is without one."""
        return [cast.teacher, cast.baseline]

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The hard loss alone; the teacher is not read."""
        return {"hard": self.hard_loss(student.logits, batch)}
