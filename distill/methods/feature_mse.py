"""A regressor to a hidden layer: PyTorch's tutorial on knowledge distillation, "Intermediate regressor run".

https://docs.pytorch.org/tutorials/beginner/knowledge_distillation_tutorial.html. A 3x3 convolution turns the student's
last map into one of the teacher's width, and their squared difference is a term beside the labels. It differs from
`fitnet` in the layer, in a regressor that sees neighbours and is linear, and in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from distill.config.options import NonNegative, Positive
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.fitnet import hint_loss
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


@dataclass(frozen=True, kw_only=True)
class FeatureMseOptions(GuidedOptions):
    """Options of `feature_mse`."""

    name: str = "feature_mse"
    weight: NonNegative = 0.25
    T: Positive = 2.0
    hard_weight: NonNegative = 0.75


@methods.register("feature_mse", FeatureMseOptions)
class FeatureMse(Guided):
    """`hard_weight * cross_entropy + weight * mse(regressor(student's last layer), teacher's last layer)`."""

    taps = frozenset({"features"})
    options: FeatureMseOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the regressor: a 3x3 convolution, or a linear layer for vectors."""
        last = adapters.layer_pairs(student.features, teacher.features, self.options.name)[-1]
        ours, theirs = adapters.comparable(*last)
        widths = ours.shape[1], theirs.shape[1]
        self.regressor = nn.Linear(*widths) if ours.ndim == 2 else nn.Conv2d(*widths, 3, padding=1)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """Of the last stages, maps at the smaller size."""
        ours, theirs = adapters.comparable(student.features[-1], teacher.features[-1])
        return hint_loss(self.regressor(ours), theirs)
