"""Wasserstein distance of features: Lv et al. 2024, "Wasserstein Distance Rivals Kullback-Leibler Divergence".

https://arxiv.org/abs/2412.08139, section 3: the places of a feature map are taken as draws from one Gaussian per
channel (a diagonal covariance), and the squared Wasserstein distance of two such Gaussians is that of their means
plus that of their standard deviations. As in the authors' code the means weigh more, the student's last map goes
through a 1x1 convolution with batch norm and ReLU first, and the weight falls to zero as half a cosine over the last
epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.config.options import Count, Fraction, NonNegative
from distill.methods.adapters import maps, regressor, same_size
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.methods.schedules import faded
from distill.types import Batch, Output

_EPSILON = 1e-5  # of a variance


def gaussian_distances(student: Tensor, teacher: Tensor, grid: int = 1) -> tuple[Tensor, Tensor]:
    """Squared distances of means and of standard deviations, summed over channels, mean over cells and batch, in fp32.

    Args:
        student: `[batch, channels, height, width]`.
        teacher: Likewise.
        grid: Cells along each side of the map, each with Gaussians of its own; at most one for each place.
    """
    compared = zip(_moments(student.float(), grid), _moments(teacher.float(), grid), strict=True)
    means, deviations = (((own - other) ** 2).sum(dim=1).mean() for own, other in compared)
    return means, deviations


def _moments(feature: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Means and standard deviations of the cells, `[batch, channels, cells]` each."""
    rows, columns = (_cuts(side, grid) for side in feature.shape[2:])
    cells = [feature[:, :, row, column].flatten(2) for row in rows for column in columns]
    means = torch.stack([cell.mean(dim=2) for cell in cells], dim=2)
    # One place alone has no spread, where dividing by its number less one would give NaN.
    variances = torch.stack([cell.var(dim=2, correction=min(1, cell.shape[2] - 1)) for cell in cells], dim=2)
    return means, (variances + _EPSILON).sqrt()


def _cuts(side: int, grid: int) -> list[slice]:
    """The cells along a side, as adaptive pooling cuts them."""
    count = min(grid, side)
    return [slice(cell * side // count, -(-(cell + 1) * side // count)) for cell in range(count)]


@dataclass(frozen=True, kw_only=True)
class WkdFOptions(GuidedOptions):
    """Options of `wkd_f`.

    Attributes:
        mean_weight: Of the distance of means, beside that of standard deviations.
        grid: Cells along each side of the map.
        decay_from: Share of the epochs after which the weight falls to zero; 1 leaves it as it is.
    """

    name: str = "wkd_f"
    weight: NonNegative = 0.08
    mean_weight: NonNegative = 4.0
    grid: Count = 1
    decay_from: Fraction = 0.625


@methods.register("wkd_f", WkdFOptions)
class WkdF(Guided):
    """`weight * (mean_weight * distance of means + distance of deviations) + hard_weight * cross_entropy`."""

    taps = frozenset({"features"})
    stacks = None  # the projector has batch norm
    smallest_batch = 2
    options: WkdFOptions

    @property
    def changes(self) -> bool:
        """The weight falls."""
        return self.options.decay_from < 1 or super().changes

    def adapt(self, student: Output, teacher: Output) -> None:
        """The projector of the last maps."""
        own, other = self._maps(student, teacher)
        parts = [regressor(own, other), nn.BatchNorm2d(other.shape[1])]
        if not (other < 0).any():
            parts.append(nn.ReLU())
        self.projector = nn.Sequential(*parts)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The squared Wasserstein distance, with the weights of its parts."""
        own, other = self._maps(student, teacher)
        means, deviations = gaussian_distances(self.projector(own), other, self.options.grid)
        left = faded(self.options.decay_from, self.epoch, self.epochs)
        return left * (self.options.mean_weight * means + deviations)

    def _maps(self, student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
        own, other = (
            maps(output.features, whose, self.options.name)[-1]
            for output, whose in ((student, "student"), (teacher, "teacher"))
        )
        return same_size(own, other)
