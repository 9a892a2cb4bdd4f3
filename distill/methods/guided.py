"""What methods on features and relations share: a loss of their own beside hard labels and soft targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distill.config.options import NonNegative, Positive
from distill.methods.base import Method, MethodOptions
from distill.methods.soft_targets import soft_target_loss
from distill.types import Batch, Output


@dataclass(frozen=True, kw_only=True)
class GuidedOptions(MethodOptions):
    """Options of every method that compares what networks hold inside.

    Attributes:
        weight: Of the method's own loss.
        soft_weight: Of soft targets beside it.
        T: Temperature of those.
        hard_weight: Of the hard labels.
    """

    weight: NonNegative = 1.0
    soft_weight: NonNegative = 0.0
    T: Positive = 4.0
    hard_weight: NonNegative = 1.0

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """Soft targets are about classes; what networks hold inside is not."""
        if regression and self.soft_weight:
            yield (
                f"method.soft_weight={self.soft_weight:g} is not allowed with real-valued targets: soft targets are "
                "probabilities of classes; give method.soft_weight=0."
            )


class Guided(Method):
    """`hard_weight * cross_entropy + soft_weight * T^2 * KL + weight * the method's own loss`.

    A subclass implements `distance`.
    """

    options: Any  # `GuidedOptions`; a subclass says which
    stacks = frozenset({"weight", "soft_weight", "T", "hard_weight"})
    unlabelled = True

    @property
    def soft_weight(self) -> Any:
        """Of soft targets in this epoch: a number, or in a stacked sweep one per training."""
        return self.options.soft_weight

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The method's own terms, `soft` where it weighs anything, and `hard`."""
        return {**self.own(student, teacher, batch), **self.others(student, teacher, batch)}

    def own(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The method's own terms, weighted."""
        found = self.distance(student, teacher, batch)
        terms = found if isinstance(found, dict) else {self.options.name: found}
        return {name: self.options.weight * term for name, term in terms.items()}

    def others(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft` and `hard`, where they weigh anything."""
        terms = {}
        if _counts(self.soft_weight):
            terms["soft"] = self.soft_weight * soft_target_loss(student.logits, teacher.logits, self.options.T)
        if _counts(self.options.hard_weight):
            terms["hard"] = self.options.hard_weight * self.hard_loss(student.logits, batch)
        return terms

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor | dict[str, Tensor]:
        """The method's own loss before `weight`: one scalar, or several by name."""
        raise NotImplementedError


def _counts(weight: float | Tensor) -> bool:
    # Trainings whose weight is zero are not stacked with others, and a tensor of theirs cannot be looked at.
    return isinstance(weight, Tensor) or weight > 0
