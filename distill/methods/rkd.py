"""Distances and angles between examples: Park et al. 2019, "Relational Knowledge Distillation".

https://arxiv.org/abs/1904.05068, section 3.2. The paper sums over pairs and triplets of distinct examples; here, as
in the authors' code, the means also count those in which an example stands twice, which are zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.methods.adapters import embeddings
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


def relational_losses(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """How far the relations between examples differ, in fp32; needs memory for `batch^2 * width` numbers.

    Both are zero when one is a rotated, moved and scaled copy of the other.

    Args:
        student: `[batch, width]` embeddings.
        teacher: `[batch, other width]`.

    Returns:
        Smooth L1 between the distances of all pairs, each as a multiple of its network's mean distance; and between the
        cosines of the angles of all triplets.
    """
    ours, theirs = _differences(student), _differences(teacher)
    distance = F.smooth_l1_loss(_relative(ours[1]), _relative(theirs[1]))
    return distance, F.smooth_l1_loss(_cosines(*ours), _cosines(*theirs))


def _differences(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """`[batch, batch, width]` from example i to example j, and their lengths."""
    embedding = embedding.float()
    # Not as expanded squares, which lose all digits where embeddings lie close together and far from zero.
    differences = embedding[None, :] - embedding[:, None]
    squares = differences.square().sum(dim=2)
    # The root has no finite slope at zero.
    apart = squares > 0
    return differences, torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)


def _relative(distances: Tensor) -> Tensor:
    mean = distances.sum() / (distances > 0).sum().clamp_min(1)
    return distances / torch.where(mean > 0, mean, 1.0)


def _cosines(differences: Tensor, distances: Tensor) -> Tensor:
    """`[batch, batch, batch]`: at example i, between the directions to j and to k."""
    directions = differences / torch.where(distances > 0, distances, 1.0)[:, :, None]
    return directions @ directions.transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class RkdOptions(GuidedOptions):
    """Options of `rkd`.

    Attributes:
        distance: Weight of the distances.
        angle: Weight of the angles.
    """

    name: str = "rkd"
    distance: NonNegative = 25.0
    angle: NonNegative = 50.0


@methods.register("rkd", RkdOptions)
class Rkd(Guided):
    """`hard + weight * (distance * distances + angle * angles)`."""

    taps = frozenset({"embedding"})
    stacks = frozenset({"weight", "distance", "angle", "soft_weight", "T", "hard_weight"})
    smallest_batch = 2
    options: RkdOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Checks that there are embeddings."""
        embeddings(student, teacher, self.options.name)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `distance` and `angle`."""
        distance, angle = relational_losses(*embeddings(student, teacher, self.options.name))
        return {"distance": self.options.distance * distance, "angle": self.options.angle * angle}
