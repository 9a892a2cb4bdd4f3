"""Probabilities of being neighbours: Passalis, Tefas 2018, "Learning Deep Representations with Probabilistic Knowledge
Transfer".

https://arxiv.org/abs/1803.10837, section 3, with the cosine kernel. The paper sums the divergence over all pairs;
here, as in the authors' code, it is the mean over them, which the weight of 30,000 belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.methods.adapters import embeddings
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output

_EPSILON = 1e-7


def neighbour_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """`p_t * log(p_t / p_s)`, mean over all pairs, of the probabilities that i picks j as its neighbour, in fp32.

    A probability is the cosine similarity, moved to 0..1, as a share of those of its row. The loss does not change when
    a network's embeddings are rotated or scaled.

    Args:
        student: `[batch, width]` embeddings.
        teacher: `[batch, other width]`.
    """
    ours, theirs = _neighbours(student), _neighbours(teacher)
    return (theirs * ((theirs + _EPSILON).log() - (ours + _EPSILON).log())).mean()


def _neighbours(embedding: Tensor) -> Tensor:
    unit = F.normalize(embedding.float(), dim=1, eps=_EPSILON)
    affinities = (unit @ unit.t() + 1) / 2
    return affinities / affinities.sum(dim=1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class PktOptions(GuidedOptions):
    """Options of `pkt`."""

    name: str = "pkt"
    weight: NonNegative = 30000.0


@methods.register("pkt", PktOptions)
class Pkt(Guided):
    """`hard + weight * divergence of the probabilities of neighbours`."""

    taps = frozenset({"embedding"})
    smallest_batch = 2
    options: PktOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Checks that there are embeddings."""
        embeddings(student, teacher, self.options.name)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The term `pkt`."""
        return neighbour_loss(*embeddings(student, teacher, self.options.name))
