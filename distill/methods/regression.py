"""Real-valued targets: squared error to the teacher's answers, or bounded by the teacher's own error.

The bound is that of Chen, Choi, Yu, Han, Chandraker 2017, "Learning Efficient Object Detection Models with Knowledge
Distillation", https://papers.nips.cc/paper/6676, section 3.3, equation 4: answers that are numbers can be wrong without
limit, so that a teacher need not be imitated where the student is nearer to the target already. The paper adds 0.5
times the bounded term to the unbounded one, which is `alpha=0.3333`, and takes a smooth L1 loss of the boxes for the
latter; here both are squared errors of standardised targets, means over the targets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.options import Flag, Fraction, NonNegative
from distill.methods.base import Method, MethodOptions, check_same_classes, methods
from distill.methods.logits import logit_matching_loss
from distill.types import Batch, Output


def teacher_bounded_loss(student: Tensor, teacher: Tensor, targets: Tensor, margin: float = 0.0) -> Tensor:
    """The student's squared error where it, plus a margin, exceeds the teacher's; else 0; mean over the batch, in fp32.

    Args:
        student: `[batch, targets]` answers.
        teacher: `[batch, targets]` answers.
        targets: `[batch, targets]` what is right.
        margin: By how much the student's error of an example (mean over its targets) must be below the teacher's.

    Raises:
        ConfigError: The number of targets differs.
    """
    check_same_classes(student, teacher)
    own, bound = ((answers.float() - targets.float()).square().mean(dim=1) for answers in (student, teacher))
    return torch.where(own + margin > bound, own, 0.0).mean()


@dataclass(frozen=True, kw_only=True)
class RegressionOptions(MethodOptions):
    """Options of `regression`.

    Attributes:
        alpha: Weight of the teacher's term.
        bounded: Whether that is the student's error to the target where it exceeds the teacher's, and not the squared
            error to the teacher's answer.
        margin: Of `bounded`, in squared deviations of the targets.
    """

    name: str = "regression"
    alpha: Fraction = 0.5
    bounded: Flag = False
    margin: NonNegative = 0.0

    def check(self) -> Iterable[str]:
        """A margin is part of the bound."""
        yield from super().check()
        if self.margin and not self.bounded:
            yield f"margin={self.margin:g} is not allowed with bounded=false, where it has no effect: add bounded=true."

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """Class numbers are nothing to be near to."""
        if not regression:
            yield (
                "method=regression is not allowed with a data set of classes: it needs real-valued targets, such as "
                "dataset=synthetic_regression or dataset=tensors dataset.task=regression; for classes there is "
                "method=logits."
            )


@methods.register("regression", RegressionOptions)
class Regression(Method):
    """`(1 - alpha) * mse(student, targets) + alpha * mse(student, teacher)`, or the bound in place of the latter."""

    options: RegressionOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`."""
        options, answers = self.options, student.logits.float()
        if options.bounded:
            soft = teacher_bounded_loss(answers, teacher.logits, mixed_targets(batch), options.margin)
        else:
            soft = logit_matching_loss(answers, teacher.logits)
        return {"soft": options.alpha * soft, "hard": (1 - options.alpha) * self.hard_loss(answers, batch)}


def mixed_targets(batch: Batch) -> Tensor:
    """`[batch, targets]` the target of each example; of a mixed one, mixed in the same shares."""
    if batch.mix is None:
        return batch.labels
    return torch.lerp(batch.mix.labels, batch.labels, batch.mix.share[:, None])
