"""Knowledge review: Chen et al. 2021, "Distilling Knowledge via Knowledge Review".

https://arxiv.org/abs/2104.09044, section 3. Each level of the teacher is compared with
the student's level of that depth fused with all deeper ones (attention-based fusion, ABF), in pyramids of averages
(hierarchical context loss, HCL). As in the authors' code levels are feature maps before their last ReLU and, deepest,
the embedding as a map of one place; a fused map takes the teacher's size by its nearest places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Fraction, NonNegative
from distill.methods.adapters import maps, pairs, pooled
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output

_SIDES = (4, 2, 1)  # of the averages that are compared beside the full maps
_WIDEST = 512  # channels in which levels are fused, at most


def hcl_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of maps, and of their averages on 4x4, 2x2 and 1x1 cells with weights 1/2, 1/4, 1/8.

    The weights are divided by their sum. Averages that are no smaller than the map are left out, and the next
    one gets the weight.

    Args:
        student: `[batch, channels, height, width]`.
        teacher: Likewise.
    """
    student, teacher = student.float(), teacher.float()
    total, weight, weights = F.mse_loss(student, teacher), 1.0, 1.0
    for side in _SIDES:
        if side < min(student.shape[2:]):
            weight /= 2
            weights += weight
            own, other = (F.adaptive_avg_pool2d(each, side) for each in (student, teacher))
            total = total + weight * F.mse_loss(own, other)
    return total / weights


class Fusion(nn.Module):
    """Attention-based fusion of one level with what came from the deeper ones.

    Args:
        inputs: Channels of the student's level.
        middle: Channels in which levels are fused.
        outputs: Channels of the teacher's level.
        deepest: Whether nothing is deeper.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, deepest: bool):
        super().__init__()
        enter = nn.Conv2d(inputs, middle, 1, bias=False)
        leave = nn.Conv2d(middle, outputs, 3, padding=1, bias=False)
        for convolution in (enter, leave):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
        self.enter = nn.Sequential(enter, nn.BatchNorm2d(middle))
        self.leave = nn.Sequential(leave, nn.BatchNorm2d(outputs))
        self.attention = None if deepest else nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid())

    def forward(self, level: Tensor, deeper: Tensor | None, size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Fuses.

        Args:
            level: `[batch, inputs, height, width]`.
            deeper: `[batch, middle, ...]`, what the next deeper level passed on.
            size: Height and width of the teacher's level.

        Returns:
            `[batch, outputs, *size]` to compare, and `[batch, middle, *size]` to pass on.
        """
        fused = self.enter(level)
        if self.attention is not None and deeper is not None:
            deeper = _resized(deeper, fused.shape[2:])
            own, other = self.attention(torch.cat([fused, deeper], dim=1)).split(1, dim=1)
            fused = fused * own + deeper * other
        fused = _resized(fused, size)
        return self.leave(fused), fused


def _resized(feature: Tensor, size: Sequence[int]) -> Tensor:
    return feature if feature.shape[2:] == tuple(size) else F.interpolate(feature, tuple(size), mode="nearest")


@dataclass(frozen=True, kw_only=True)
class ReviewkdOptions(GuidedOptions):
    """Options of `reviewkd`."""

    name: str = "reviewkd"
    weight: NonNegative = 5.0
    warmup: Fraction = 0.0833


@methods.register("reviewkd", ReviewkdOptions)
class Reviewkd(Guided):
    """`weight * sum over levels of HCL(fused student, teacher) + hard_weight * cross_entropy`."""

    taps = frozenset({"preactivations", "embedding"})
    stacks = None  # fusions have batch norm
    smallest_batch = 2
    options: ReviewkdOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """One fusion for each pair of levels, shallow to deep."""
        levels = pairs(self._levels(student, "student"), self._levels(teacher, "teacher"))
        widths = [(own.shape[1], other.shape[1]) for own, other in levels]
        middle = min(_WIDEST, widths[-1][0])
        deepest = len(widths) - 1
        self.fusions = nn.ModuleList(
            Fusion(own, middle, other, number == deepest) for number, (own, other) in enumerate(widths)
        )

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The hierarchical context loss of all levels, fused from deep to shallow."""
        levels = pairs(self._levels(student, "student"), self._levels(teacher, "teacher"))
        found, deeper = [], None
        for fusion, (own, other) in zip(reversed(self.fusions), reversed(levels), strict=True):
            compared, deeper = fusion(own, deeper, other.shape[2:])
            found.append(hcl_loss(compared, other))
        return torch.stack(found).sum()

    def _levels(self, output: Output, whose: str) -> list[Tensor]:
        """The feature maps, and the embedding as a map of one place."""
        found = maps(output.preactivations, whose, self.options.name)
        last = pooled(found[-1]) if output.embedding is None else output.embedding
        return [*found, last[:, :, None, None]]
