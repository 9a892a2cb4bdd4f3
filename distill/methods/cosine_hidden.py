"""The direction of a hidden layer: PyTorch's tutorial on knowledge distillation, "Cosine loss minimization run".

https://docs.pytorch.org/tutorials/beginner/knowledge_distillation_tutorial.html. The last stage of both networks is
flattened, and the longer vector averaged down to the length of the shorter one (in the tutorial that of the teacher).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative, Positive
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


def hidden_cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """`1 - cosine` of two hidden layers, mean over the batch, in fp32.

    Args:
        student: `[batch, ...]`.
        teacher: `[batch, ...]`; flattened, the longer is averaged over neighbours to the length of the shorter.
    """
    ours, theirs = (hidden.float().flatten(1) for hidden in (student, teacher))
    width = min(ours.shape[1], theirs.shape[1])
    ours, theirs = (each if each.shape[1] == width else F.adaptive_avg_pool1d(each, width) for each in (ours, theirs))
    return (1 - F.cosine_similarity(ours, theirs)).mean()


@dataclass(frozen=True, kw_only=True)
class CosineHiddenOptions(GuidedOptions):
    """Options of `cosine_hidden`."""

    name: str = "cosine_hidden"
    weight: NonNegative = 0.25
    T: Positive = 2.0
    hard_weight: NonNegative = 0.75


@methods.register("cosine_hidden", CosineHiddenOptions)
class CosineHidden(Guided):
    """`hard_weight * cross_entropy + weight * hidden_cosine_loss`."""

    taps = frozenset({"features"})
    options: CosineHiddenOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Wants hidden layers."""
        adapters.layer_pairs(student.features, teacher.features, self.options.name)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """Of the last stages, maps at the smaller size."""
        return hidden_cosine_loss(*adapters.comparable(student.features[-1], teacher.features[-1]))
