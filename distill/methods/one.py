"""Branches taught by their ensemble: Lan, Zhu, Gong 2018, "Knowledge Distillation by On-the-Fly Native Ensemble".

https://arxiv.org/abs/1806.04606, section 3.2. As in the authors' code the gate has a ReLU before its softmax, and the
ensemble is a constant in what it teaches: it learns from the labels alone. The 1e-7 that the code adds to the
ensemble's probabilities is left out, and its rise over 80 of 300 epochs is a share of the epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from distill.config.options import Count, Fraction, NonNegative, Positive
from distill.methods.base import Method, MethodOptions, methods
from distill.methods.branched import Gate, branched, ensemble_logits
from distill.methods.joint import part_of, trained_as_one
from distill.methods.mean_teacher import ramp_up
from distill.methods.soft_targets import soft_target_loss
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node
    from distill.models.taps import Taps

__all__ = ["Gate", "One", "OneOptions", "branch_loss", "ensemble_logits"]


def branch_loss(branches: Sequence[Tensor], ensemble: Tensor, T: float = 3.0) -> Tensor:
    """`sum_i T^2 * KL(ensemble_T || branch_i_T)`, mean over the batch, in fp32.

    It has no gradient with respect to the ensemble.

    Args:
        branches: `[batch, classes]` each.
        ensemble: `[batch, classes]` logits.
        T: Temperature, > 0.
    """
    return torch.stack([soft_target_loss(branch, ensemble.detach(), T) for branch in branches]).sum()


@dataclass(frozen=True, kw_only=True)
class OneOptions(MethodOptions):
    """Options of `one`.

    Attributes:
        branches: How many there are.
        T: Temperature.
        weight: Of what the ensemble teaches.
        ramp_share: Share of the epochs over which that weight rises, as `exp(-5 * (1 - x)^2)`.
    """

    name: str = "one"
    branches: Count = 3
    T: Positive = 3.0
    weight: NonNegative = 1.0
    ramp_share: Fraction = 0.267

    def check(self) -> Iterable[str]:
        """There are two or more."""
        yield from super().check()
        if self.branches < 2:
            yield f"branches={self.branches} is not allowed: an ensemble needs 2 or more."


@methods.register("one", OneOptions)
class One(Method):
    """`sum of cross_entropy of branches and ensemble + weight * rise * sum of T^2 * KL(ensemble || branch)`."""

    taps = frozenset({"features", "heads"})
    uses_teacher = False
    unlabelled = True
    smallest_batch = 2  # the gate has batch norm
    options: OneOptions

    @classmethod
    def plan(cls, options: OneOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Baseline, all branches with their gate, and the student, which is the first of them."""
        branches = trained_as_one(cast.student, "branches", row=True)
        return [cast.baseline, branches, part_of(branches, "student", cast.student.model, "student")]

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The student with further branches and a gate."""
        network = branched(student, taps, self.options.branches, example)
        return network, network.taps

    @property
    def changes(self) -> bool:
        """Whether the weight rises."""
        return self.options.ramp_share > 0 or super().changes

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hard`, of all branches, `hard.ensemble` and `soft`."""
        options, hard = self.options, [self.hard_loss(branch, batch) for branch in student.heads]
        weight = options.weight * ramp_up(self.epoch, options.ramp_share * self.epochs)
        return {
            "hard": torch.stack(hard).sum(),
            "hard.ensemble": self.hard_loss(student.logits, batch),
            "soft": weight * branch_loss(student.heads, student.logits, options.T),
        }
