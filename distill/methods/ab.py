"""AB: Heo et al. 2019, "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons".

https://arxiv.org/abs/1811.03233, the differentiable alternative to the loss of section 3, with connectors. In a first
stage the student learns on which side of zero each of the teacher's neurons is, before their activation, and then the
labels alone. Sizes of terms are those of the authors' code: a sum over neurons, halved from each stage to the one
before it, times 3/1000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.config.options import Positive
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.staged import Staged, StagedOptions
from distill.types import Batch, Output

_SCALE = 3 / 1000


def boundary_loss(student: Tensor, teacher: Tensor, margin: float = 1.0) -> Tensor:
    """Squared distance to the teacher's side of zero, `margin` beyond it: sum over neurons, mean over the batch, fp32.

    Args:
        student: `[batch, ...]`, before the activation, after the connector.
        teacher: Of the same shape, before the activation; only its signs count, and zero is not active.
        margin: How far on the right side a neuron must be.
    """
    student = student.float()
    short = torch.where(teacher > 0, margin - student, margin + student)
    return short.clamp(min=0).square().sum() / len(student)


def boundaries_loss(students: Sequence[Tensor], teachers: Sequence[Tensor], margin: float = 1.0) -> Tensor:
    """`3/1000 * sum of 2^-depth * boundary_loss`, where the last stage has depth 0.

    Args:
        students: One per stage, shallow to deep, as in `boundary_loss`.
        teachers: Likewise.
        margin: Likewise.
    """
    last = len(students) - 1
    losses = [
        2.0 ** (stage - last) * boundary_loss(student, teacher, margin)
        for stage, (student, teacher) in enumerate(zip(students, teachers, strict=True))
    ]
    return _SCALE * torch.stack(losses).sum()


@dataclass(frozen=True, kw_only=True)
class AbOptions(StagedOptions):
    """Options of `ab`.

    Attributes:
        margin: How far from zero the student's neurons shall be.
    """

    name: str = "ab"
    margin: Positive = 1.0


@methods.register("ab", AbOptions)
class ActivationBoundaries(Staged):
    """`weight * boundaries_loss` in the first stage, then `hard_weight * cross_entropy`."""

    taps = frozenset({"preactivations"})
    smallest_batch = 2
    options: AbOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the connectors: a linear map to the teacher's width and batch norm."""
        self.connectors = nn.ModuleList()
        for ours, theirs in _pairs(student, teacher):
            norm = nn.BatchNorm1d if ours.ndim == 2 else nn.BatchNorm2d
            linear = adapters.regressor(ours, theirs, bias=False)
            self.connectors.append(nn.Sequential(linear, norm(theirs.shape[1])))

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """Over all stages."""
        ours, theirs = zip(*_pairs(student, teacher), strict=True)
        connected = [connector(layer) for connector, layer in zip(self.connectors, ours, strict=True)]
        return boundaries_loss(connected, theirs, self.options.margin)


def _pairs(student: Output, teacher: Output) -> list[tuple[Tensor, Tensor]]:
    pairs = adapters.layer_pairs(student.preactivations, teacher.preactivations, "ab")
    return [adapters.comparable(*pair) for pair in pairs]
