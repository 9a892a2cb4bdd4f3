"""NST: Huang, Wang 2017, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer".

https://arxiv.org/abs/1707.01219, section 4, with the polynomial kernel (d=2, c=0), which the paper recommends: the
squared maximum mean discrepancy between the channels of both networks, each a map of length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


def selectivity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared discrepancy between the channels of two maps, mean over the batch, in fp32.

    Neither the order of channels nor their scale matters.

    Args:
        student: `[batch, channels, height, width]`.
        teacher: Likewise; channels, height and width may be others.
    """
    pair = adapters.same_size(student.float(), teacher.float())
    ours, theirs = (F.normalize(feature.flatten(2), dim=2) for feature in pair)
    return _kernel(theirs, theirs) + _kernel(ours, ours) - 2 * _kernel(ours, theirs)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """The mean over the batch and all pairs of channels of their squared inner product."""
    (_, channels, places), others = first.shape, second.shape[1]
    if places**2 >= channels * others:
        return (first @ second.transpose(1, 2)).square().mean()
    # The same sum, without a table of all pairs: deep layers have thousands of channels and few places.
    grams = [each.transpose(1, 2) @ each for each in (first, second)]
    return (grams[0] * grams[1]).sum(dim=(1, 2)).mean() / (channels * others)


@dataclass(frozen=True, kw_only=True)
class NstOptions(GuidedOptions):
    """Options of `nst`."""

    name: str = "nst"
    weight: NonNegative = 50.0


@methods.register("nst", NstOptions)
class NeuronSelectivity(Guided):
    """`hard_weight * cross_entropy + weight * the sum over stages of selectivity_loss`."""

    taps = frozenset({"features"})
    options: NstOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Wants maps."""
        adapters.map_pairs(student.features, teacher.features, self.options.name)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The sum over stages."""
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name)
        return sum((selectivity_loss(*pair) for pair in pairs), student.logits.new_zeros(()))
