"""Attention transfer: Zagoruyko, Komodakis 2017, "Paying More Attention to Attention".

https://arxiv.org/abs/1612.03928, equation 2, with maps of section 3.1. As in the authors' code the squared difference
is a mean over the places of a map and not a sum (hence the weight of 1000), and the larger map is averaged down to the
smaller one before its channels are. Powers are of absolute values, as in the paper; public code leaves them out, which
is the same for even powers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import Count, NonNegative
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


def attention_map(feature: Tensor, p: int = 2) -> Tensor:
    """`mean over channels of |feature|^p`, as a vector of length 1 per example, in fp32.

    Args:
        feature: `[batch, channels, height, width]`.
        p: Power.

    Returns:
        `[batch, height * width]`.
    """
    return F.normalize(feature.float().abs().pow(p).mean(dim=1).flatten(1), dim=1)


def attention_loss(student: Tensor, teacher: Tensor, p: int = 2) -> Tensor:
    """Squared difference of two attention maps, mean over batch and places, in fp32.

    Whoever scales an example, changes signs or the order of channels does not change it.

    Args:
        student: `[batch, channels, height, width]`.
        teacher: Likewise; channels, height and width may be others.
        p: Power.
    """
    student, teacher = adapters.same_size(student.float(), teacher.float())
    return (attention_map(student, p) - attention_map(teacher, p)).square().mean()


@dataclass(frozen=True, kw_only=True)
class AtOptions(GuidedOptions):
    """Options of `at`.

    Attributes:
        p: Power of the activations.
    """

    name: str = "at"
    weight: NonNegative = 1000.0
    p: Count = 2


@methods.register("at", AtOptions)
class AttentionTransfer(Guided):
    """`hard_weight * cross_entropy + weight * the sum over stages of attention_loss`."""

    taps = frozenset({"features"})
    options: AtOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Wants maps."""
        adapters.map_pairs(student.features, teacher.features, self.options.name)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The sum over stages."""
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name)
        return sum((attention_loss(*pair, self.options.p) for pair in pairs), student.logits.new_zeros(()))
