"""KD-SVD: Lee, Kim, Song 2018, "Self-supervised Knowledge Distillation Using Singular Value Decomposition".

https://arxiv.org/abs/1807.06819, section 3. A map is a matrix of places by channels, of which the `k` directions of
most energy are kept; what is compared is how those of one stage go with those of the next. The loss is a mean over the
batch, as in public code in PyTorch; the authors' own sums over it, with a factor of `sqrt(k) / 2`, and clips the
gradient of this term to the size of that of the labels, which is left out here.

A singular vector has no sign of its own: each of the teacher's is turned so that its entries sum to no less than zero,
and the student's to the side of the teacher's. Where two singular values are equal, their vectors have no derivative;
its size is then bounded, as if they differed a little. Widths must be equal in the paper; where they are not, a 1x1
convolution turns the student's map into one of the teacher's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count
from distill.errors import ConfigError
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output

# How many more of the student's vectors are looked through for one that fits.
_MORE = 3
# Below this difference of squared singular values, of a map of length 1, the derivative is bounded.
_CLOSE = 1e-5
# Twice the variance of the radial basis function.
_SPREAD = 8.0


def singular_vectors(feature: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The directions in the space of channels in which a map has most energy, in fp32.

    Args:
        feature: `[batch, channels, height, width]`.
        count: How many; fewer where the map has not so many.

    Returns:
        `[batch, channels, count]` vectors of length 1 with gradient, and `[batch, count]` singular values of the map
        scaled to length 1, without; largest first.
    """
    places = F.normalize(feature.float().flatten(1), dim=1).unflatten(1, (feature.shape[1], -1)).transpose(1, 2)
    squares, every = _decomposed(places.detach())
    kept = every[:, :, :count]
    # First-order perturbation of the eigenvectors of X^T X, zero in value, gives them their gradient. That of
    # torch.linalg.svd is infinite where singular values are equal, as those of a map of zeros are.
    change = places.transpose(1, 2) @ (places @ kept)
    along = every.transpose(1, 2) @ change
    outside = _inverse(squares[:, None, :count])  # for the directions that `every` lacks, whose value is zero
    inside = _inverse(squares[:, None, :count] - squares[:, :, None])
    moved = change * outside + every @ (along * (inside - outside))
    return kept + (moved - moved.detach()), squares[:, :count].sqrt()


def _decomposed(places: Tensor) -> tuple[Tensor, Tensor]:
    """`[batch, rank]` squared singular values, largest first, and `[batch, channels, rank]` right singular vectors.

    By way of the smaller matrix of products, which takes a fraction of the time of torch.linalg.svd, and is as exact
    for the vectors of large values.
    """
    # A decomposition refuses what is not finite; the loss is not finite all the same, and tells where.
    places = torch.nan_to_num(places)
    across = places.transpose(1, 2)
    wide = places.shape[1] < places.shape[2]
    squares, vectors = torch.linalg.eigh(places @ across if wide else across @ places)
    if wide:
        vectors = F.normalize(across @ vectors, dim=1)
    return squares.clamp(min=0).flip(1), vectors.flip(2)


def _inverse(gap: Tensor) -> Tensor:
    return gap / (gap.square() + _CLOSE**2)


def svd_loss(students: Sequence[Tensor], teachers: Sequence[Tensor], k: int = 1) -> Tensor:
    """Squared difference of how each stage's vectors go with the next one's: sum over entries, mean over the batch.

    Args:
        students: `[batch, channels, height, width]` per stage, shallow to deep, at least two.
        teachers: As many, with the same channels; height and width may be others.
        k: How many vectors of each map.
    """
    pairs = [_aligned(student, teacher, k) for student, teacher in zip(students, teachers, strict=True)]
    losses = [
        (_relation(ours, our_next) - _relation(theirs, their_next)).square().sum()
        for (ours, theirs), (our_next, their_next) in pairwise(pairs)
    ]
    return torch.stack(losses).sum() / len(students[0])


def _aligned(student: Tensor, teacher: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`[batch, channels, k]` of each: the student's vectors that fit the teacher's, both as long as their values."""
    theirs, values = singular_vectors(teacher, k)
    theirs = theirs * torch.where(theirs.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    ours, _ = singular_vectors(student, k + _MORE)
    cosines = ours.detach().transpose(1, 2) @ theirs
    best = cosines.abs().argmax(dim=1, keepdim=True)
    fitting = ours.gather(2, best.expand(-1, ours.shape[1], -1)) * cosines.gather(1, best).sign()
    lengths = F.normalize(values, dim=1)[:, None]
    return fitting * lengths, theirs * lengths


def _relation(before: Tensor, after: Tensor) -> Tensor:
    """`[batch, channels after, channels before, k]`, 1 where entries are equal."""
    return (-(after[:, :, None] - before[:, None]).square() / _SPREAD).exp()


@dataclass(frozen=True, kw_only=True)
class KdsvdOptions(GuidedOptions):
    """Options of `kdsvd`.

    Attributes:
        k: Singular vectors of each map.
    """

    name: str = "kdsvd"
    k: Count = 1


@methods.register("kdsvd", KdsvdOptions)
class SingularVectors(Guided):
    """`hard_weight * cross_entropy + weight * svd_loss`."""

    taps = frozenset({"features"})
    options: KdsvdOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the 1x1 convolutions.

        Raises:
            ConfigError: A map of the teacher's has fewer singular vectors than are asked for.
        """
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name, at_least=2)
        self.adapters = nn.ModuleList(adapters.fitted(*pair) for pair in pairs)
        most = min(min(theirs.shape[1], theirs.shape[2] * theirs.shape[3]) for _, theirs in pairs)
        if self.options.k > most:
            raise ConfigError(
                f"method.k={self.options.k} is not allowed: the smallest of the teacher's maps has no more than {most} "
                f"singular vectors; give at most {most}."
            )

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """Over all pairs of stages."""
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name)
        students = [adapter(ours) for adapter, (ours, _) in zip(self.adapters, pairs, strict=True)]
        return svd_loss(students, [theirs for _, theirs in pairs], self.options.k)
