"""A teacher of another task: its trunk guides the student's, and nothing couples the heads.

The hint is that of Romero et al. 2015, "FitNets", https://arxiv.org/abs/1412.6550, equation 3, on the last layer before
the classifiers: what a network learned for one set of labels helps with another as far as features are shared, and
logits over different classes cannot be compared.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from distill.config.options import Natural, NonNegative
from distill.methods import adapters
from distill.methods.base import HARD, Method, MethodOptions, methods
from distill.methods.fitnet import hint_loss
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node

EVEN_AND_ODD = "even,odd"


@dataclass(frozen=True, kw_only=True)
class CrossTaskOptions(MethodOptions):
    """Options of `cross_task`.

    Attributes:
        teacher_classes: Groups of class numbers that are the classes of the teacher; `None` is even against odd.
        weight: Of the hint.
        hard_weight: Of the hard labels.
    """

    name: str = "cross_task"
    teacher_classes: list[list[Natural]] | None = None
    weight: NonNegative = 1.0
    hard_weight: NonNegative = 1.0

    def check(self) -> Iterable[str]:
        """There are two groups at least, and no class is in two of them."""
        yield from super().check()
        groups = self.teacher_classes
        if groups is None:
            return
        numbers = list(itertools.chain.from_iterable(groups))
        if len(groups) < 2 or not all(groups):
            yield f"teacher_classes={groups} is not allowed: telling classes apart needs two groups at least."
        if len(set(numbers)) < len(numbers):
            yield f"teacher_classes={groups} is not allowed: a class is in two groups."


@methods.register("cross_task", CrossTaskOptions)
class CrossTask(Method):
    """`hard_weight * cross_entropy + weight * mse(regressor(student's last layer), teacher's last layer)`."""

    taps = frozenset({"features"})
    options: CrossTaskOptions

    @classmethod
    def plan(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, options: CrossTaskOptions, cast: Cast
    ) -> list[Node]:
        """A teacher of its own labels, baseline and student."""
        groups = EVEN_AND_ODD if options.teacher_classes is None else json.dumps(options.teacher_classes)
        teacher = replace(cast.teacher, data=f"labels:{groups}")
        return [teacher, cast.baseline, replace(cast.student, parents=(teacher.role,))]

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the regressor: a 3x3 convolution, or a linear layer for vectors."""
        last = adapters.layer_pairs(student.features, teacher.features, self.options.name)[-1]
        ours, theirs = adapters.comparable(*last)
        widths = ours.shape[1], theirs.shape[1]
        self.regressor = nn.Linear(*widths) if ours.ndim == 2 else nn.Conv2d(*widths, 3, padding=1)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hint` and `hard`."""
        ours, theirs = adapters.comparable(student.features[-1], teacher.features[-1])
        return {
            "hint": self.options.weight * hint_loss(self.regressor(ours), theirs),
            HARD: self.options.hard_weight * self.hard_loss(student.logits, batch),
        }
