"""Variational information: Ahn et al. 2019, "Variational Information Distillation for Knowledge Transfer".

https://arxiv.org/abs/1904.05835, section 2: the teacher's features under a Gaussian whose mean is a regression from the
student's and whose variance, one per channel, is learnt. As in the authors' code the constant `log(2 pi) / 2` is left
out and each stage is a mean over all elements. The loss may be negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import starmap

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Positive
from distill.methods.adapters import comparable, layer_pairs, pairs, regressor
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output

_EPSILON = 1e-5  # of a variance


def gaussian_nll(mean: Tensor, teacher: Tensor, log_scale: Tensor) -> Tensor:
    """`((teacher - mean)^2 / variance + log variance) / 2`, mean over all elements, in fp32.

    Args:
        mean: `[batch, channels, ...]`, what is predicted from the student.
        teacher: Likewise, what the teacher holds.
        log_scale: `[channels]`; `variance = softplus(log_scale) + 1e-5`.
    """
    variance = F.softplus(log_scale.float()) + _EPSILON
    variance = variance.reshape(-1, *[1] * (teacher.ndim - 2))
    return ((teacher.float() - mean.float()) ** 2 / variance + variance.log()).mean() / 2


@dataclass(frozen=True, kw_only=True)
class VidOptions(GuidedOptions):
    """Options of `vid`.

    Attributes:
        variance: What every learnt variance starts from.
    """

    name: str = "vid"
    variance: Positive = 5.0


class Gaussian(nn.Module):
    """What one stage of the student says of the teacher's: a regressed mean, and a learnt variance per channel.

    Args:
        student: Of one stage, as `comparable` gave it.
        teacher: Likewise.
        variance: The first one.
    """

    def __init__(self, student: Tensor, teacher: Tensor, variance: float):
        super().__init__()
        self.regressor = nn.Sequential(
            regressor(student, teacher, bias=False),
            nn.ReLU(),
            regressor(teacher, teacher, bias=False),
            nn.ReLU(),
            regressor(teacher, teacher, bias=False),
        )
        scale = max(variance - _EPSILON, _EPSILON)
        # The inverse of softplus, in a form that does not overflow.
        self.log_scale = nn.Parameter(torch.full((teacher.shape[1],), scale + math.log(-math.expm1(-scale))))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The negative log-likelihood of the teacher's features, a scalar."""
        student, teacher = comparable(student, teacher)
        return gaussian_nll(self.regressor(student), teacher, self.log_scale)


@methods.register("vid", VidOptions)
class Vid(Guided):
    """`weight * sum over stages of the negative log-likelihood + hard_weight * cross_entropy`."""

    taps = frozenset({"features"})
    options: VidOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """One Gaussian for each pair of stages."""
        stages = starmap(comparable, layer_pairs(student.features, teacher.features, "vid"))
        self.stages = nn.ModuleList(Gaussian(*stage, self.options.variance) for stage in stages)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The negative log-likelihood of all stages."""
        found = pairs(student.features, teacher.features)
        return torch.stack([stage(*pair) for stage, pair in zip(self.stages, found, strict=True)]).sum()
