"""Correlations between examples: Peng et al. 2019, "Correlation Congruence for Knowledge Distillation".

https://arxiv.org/abs/1904.01802, section 3: a Gaussian kernel between unit embeddings by its Taylor series. A
popular version multiplies the differences of neighbours in the batch instead, which depends on the order of the
examples and is zero with half of them wrong; its weight of .02 says nothing about this loss, which is some thousand
times smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, NonNegative, Positive
from distill.methods.adapters import embeddings
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


def correlation_loss(student: Tensor, teacher: Tensor, gamma: float = 0.4, order: int = 2) -> Tensor:
    """Mean squared difference of the two matrices of correlations, in fp32.

    Args:
        student: `[batch, width]` embeddings.
        teacher: `[batch, other width]`.
        gamma: Of the kernel `exp(-gamma * ||x - y||^2)`, > 0.
        order: Of its Taylor series around orthogonal embeddings, >= 1.
    """
    ours, theirs = (correlations(F.normalize(each.float(), dim=1), gamma, order) for each in (student, teacher))
    return F.mse_loss(ours, theirs)


def correlations(embedding: Tensor, gamma: float, order: int) -> Tensor:
    """`[batch, batch]` values of the kernel: the sum over `p` of `exp(-2 gamma) * (2 gamma * <x, y>)^p / p!`.

    Args:
        embedding: `[batch, width]`, of length 1 each.
        gamma: As in `correlation_loss`.
        order: Likewise.
    """
    scaled = 2 * gamma * (embedding @ embedding.t())
    power = total = torch.ones_like(scaled)
    for p in range(1, order + 1):
        power = power * scaled
        total = total + power / math.factorial(p)
    return math.exp(-2 * gamma) * total


@dataclass(frozen=True, kw_only=True)
class CcOptions(GuidedOptions):
    """Options of `cc`.

    Attributes:
        dim: Width of a linear embedding of the student's, learnt with it; `None` takes the student's as it is.
        gamma: Of the Gaussian kernel.
        order: Of its Taylor series.
    """

    name: str = "cc"
    weight: NonNegative = 100.0
    dim: Count | None = 128
    gamma: Positive = 0.4
    order: Count = 2


@methods.register("cc", CcOptions)
class Cc(Guided):
    """`hard + weight * mse(correlations)`.

    The teacher's embeddings are what they are: public code puts a layer that learns behind those as well, and then both
    layers can make all correlations equal without teaching the student anything.
    """

    taps = frozenset({"embedding"})
    smallest_batch = 2
    options: CcOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the linear embedding."""
        ours, _ = embeddings(student, teacher, self.options.name)
        self.embed = nn.Identity() if self.options.dim is None else nn.Linear(ours.shape[1], self.options.dim)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The term `cc`."""
        ours, theirs = embeddings(student, teacher, self.options.name)
        return correlation_loss(self.embed(ours), theirs, self.options.gamma, self.options.order)
