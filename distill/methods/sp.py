"""Similarities between examples: Tung, Mori 2019, "Similarity-Preserving Knowledge Distillation".

https://arxiv.org/abs/1907.09682, equations 1 to 4, on the last feature map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.errors import ConfigError
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the two matrices of similarities, each row of length 1, in fp32.

    It does not change when a network's features are rotated or scaled, and does when they are moved.

    Args:
        student: `[batch, ...]`, a feature map or a vector of each example.
        teacher: `[batch, ...]`, of any other shape.
    """
    return F.mse_loss(_similarities(student), _similarities(teacher))


def _similarities(feature: Tensor) -> Tensor:
    flat = feature.float().flatten(1)
    return F.normalize(flat @ flat.t(), dim=1)


@dataclass(frozen=True, kw_only=True)
class SpOptions(GuidedOptions):
    """Options of `sp`."""

    name: str = "sp"
    weight: NonNegative = 3000.0


@methods.register("sp", SpOptions)
class Sp(Guided):
    """`hard + weight * mse(similarities of the last feature)`."""

    taps = frozenset({"features"})
    smallest_batch = 2
    options: SpOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Checks that there are features."""
        for whose, output in (("student", student), ("teacher", teacher)):
            if not output.features:
                raise ConfigError(
                    f"method=sp reads the last feature map, and nobody knows where the {whose} has one: "
                    f"give {whose}.features=[module.path]."
                )

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The term `sp`."""
        return similarity_loss(student.features[-1], teacher.features[-1])
