"""Flow of solution procedure: Yim et al. 2017, "A Gift from Knowledge Distillation".

https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html, equations 1 and 2: in a first
stage the student learns how the teacher's channels of one stage go with those of the next, and then the labels alone.

The paper sums squared differences and matches sizes by maximum; the loss here is their mean, with an average unless
`pooling: max` is asked for, as in the CIFAR-100 benchmark, whose weight of 50 goes with both. In the paper networks
have equal widths; where they differ, a 1x1 convolution turns the student's map into one of the teacher's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import NonNegative
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.staged import Staged, StagedOptions
from distill.types import Batch, Output

Pooling = Literal["average", "max"]


def fsp_matrix(first: Tensor, second: Tensor, pooling: Pooling = "average") -> Tensor:
    """Mean over places of the products of all channels of one map with all of another, in fp32.

    Args:
        first: `[batch, channels, height, width]`.
        second: `[batch, other channels, height, width]`; the larger of both maps is pooled to the smaller.
        pooling: How.

    Returns:
        `[batch, channels, other channels]`.
    """
    size = (min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3]))
    pool = F.adaptive_max_pool2d if pooling == "max" else F.adaptive_avg_pool2d
    maps = [each.float() if tuple(each.shape[2:]) == size else pool(each.float(), size) for each in (first, second)]
    before, after = (each.flatten(2) for each in maps)
    return before @ after.transpose(1, 2) / before.shape[2]


def fsp_loss(students: Sequence[Tensor], teachers: Sequence[Tensor], pooling: Pooling = "average") -> Tensor:
    """Squared difference of the matrices of each stage with the next: mean over entries and batch, sum over pairs.

    Args:
        students: `[batch, channels, height, width]` per stage, shallow to deep, at least two.
        teachers: As many, with the same channels; height and width may be others.
        pooling: As in `fsp_matrix`.
    """
    ours, theirs = (
        [fsp_matrix(first, second, pooling) for first, second in pairwise(maps)] for maps in (students, teachers)
    )
    return torch.stack([F.mse_loss(*matrices) for matrices in zip(ours, theirs, strict=True)]).sum()


@dataclass(frozen=True, kw_only=True)
class FspOptions(StagedOptions):
    """Options of `fsp`.

    Attributes:
        pooling: How a map becomes as small as the next stage's: by `average` or `max`.
    """

    name: str = "fsp"
    weight: NonNegative = 50.0
    pooling: Pooling = "average"


@methods.register("fsp", FspOptions)
class Flow(Staged):
    """`weight * fsp_loss` in the first stage, then `hard_weight * cross_entropy`."""

    taps = frozenset({"features"})
    options: FspOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the 1x1 convolutions."""
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name, at_least=2)
        self.adapters = nn.ModuleList(adapters.fitted(*pair) for pair in pairs)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """Over all pairs of stages."""
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name)
        students = [adapter(ours) for adapter, (ours, _) in zip(self.adapters, pairs, strict=True)]
        return fsp_loss(students, [theirs for _, theirs in pairs], self.options.pooling)
