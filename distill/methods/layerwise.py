"""One loss at several layers, with weights that are fixed or learnt.

Learnt as a softmax, the weights sum to 1, where free ones would all fall to zero. Learnt as uncertainties s, a layer
counts `exp(-s) / 2` and costs `s / 2`: Kendall, Gal, Cipolla 2018, "Multi-Task Learning Using Uncertainty to Weigh
Losses", https://arxiv.org/abs/1705.07115, section 3.2, where s is the logarithm of a variance. The losses are those of
`fitnet` (mse), `cosine_hidden` (cosine), `at`, `nst` and `sp`; the first two compare through a regressor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from distill.config.options import Count, NonNegative
from distill.errors import ConfigError
from distill.methods import adapters
from distill.methods.at import attention_loss
from distill.methods.base import methods
from distill.methods.cosine_hidden import hidden_cosine_loss
from distill.methods.fitnet import hint_loss
from distill.methods.guided import Guided, GuidedOptions
from distill.methods.nst import selectivity_loss
from distill.methods.sp import similarity_loss
from distill.types import Batch, Output

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": hint_loss,
    "cosine": hidden_cosine_loss,
    "at": attention_loss,
    "nst": selectivity_loss,
    "sp": similarity_loss,
}
_REGRESSED = ("mse", "cosine")
_OF_MAPS = ("at", "nst")


def softmax_weighted(losses: Tensor, scores: Tensor) -> Tensor:
    """Each layer's loss times its share of the softmax of the scores, in fp32.

    Args:
        losses: `[layers]`.
        scores: `[layers]`, learnt.
    """
    return scores.float().softmax(dim=0) * losses


def uncertainty_weighted(losses: Tensor, log_variances: Tensor) -> Tensor:
    """`exp(-s) / 2 * loss + s / 2` of each layer, in fp32; least where `s = log loss`, and may be negative.

    Args:
        losses: `[layers]`.
        log_variances: `[layers]`, learnt.
    """
    s = log_variances.float()
    return (torch.exp(-s) * losses + s) / 2


@dataclass(frozen=True, kw_only=True)
class LayerwiseOptions(GuidedOptions):
    """Options of `layerwise`.

    Attributes:
        loss: What compares two layers.
        layers: Which pairs of stages, counted from 1, shallow to deep; all of them by default.
        weights: Whether the weights of the layers are `fixed`, or learnt as `softmax` or `uncertainty`.
        layer_weights: Fixed weights, one per layer; 1 each by default.
    """

    name: str = "layerwise"
    loss: Literal["mse", "cosine", "at", "nst", "sp"] = "mse"
    layers: list[Count] | None = None
    weights: Literal["fixed", "softmax", "uncertainty"] = "fixed"
    layer_weights: list[NonNegative] | None = None

    def check(self) -> Iterable[str]:
        """Layers are named once each, and their weights are either given or learnt."""
        yield from super().check()
        if self.layers is not None and (not self.layers or len(set(self.layers)) < len(self.layers)):
            yield f"layers={self.layers} is not allowed: name each layer once, such as [1,2], or null for all."
        if self.layer_weights is None:
            return
        if self.weights != "fixed":
            yield (
                f"layer_weights={self.layer_weights} is not allowed with weights={self.weights}, which learns them: "
                "give weights=fixed."
            )
        elif self.layers is not None and len(self.layers) != len(self.layer_weights):
            yield f"layer_weights={self.layer_weights} is not allowed: there are {len(self.layers)} layers."


@methods.register("layerwise", LayerwiseOptions)
class Layerwise(Guided):
    """`hard_weight * cross_entropy + weight * sum over layers of layer_weight * loss`."""

    taps = frozenset({"features"})
    options: LayerwiseOptions

    def __init__(self, options: LayerwiseOptions):
        super().__init__(options)
        self.smallest_batch = 2 if options.loss == "sp" else 1

    def adapt(self, student: Output, teacher: Output) -> None:
        """Regressors where the loss needs them, and weights where they are learnt."""
        options, pairs = self.options, self._pairs(student, teacher)
        if options.layers is not None and max(options.layers) > len(pairs):
            raise ConfigError(
                f"method.layers={options.layers} is not allowed: student and teacher have {len(pairs)} pairs of layers."
            )
        self.numbers = options.layers or list(range(1, len(pairs) + 1))
        if options.layer_weights is not None and len(options.layer_weights) != len(self.numbers):
            raise ConfigError(
                f"method.layer_weights={options.layer_weights} is not allowed: there are {len(self.numbers)} layers."
            )
        if options.loss in _REGRESSED:
            chosen = [pairs[number - 1] for number in self.numbers]
            self.regressors = nn.ModuleList(adapters.regressor(*pair) for pair in chosen)
        if options.weights != "fixed":
            self.balance = nn.Parameter(torch.zeros(len(self.numbers)))

    def distance(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """One term per layer: `layer_1`, ..."""
        options, pairs = self.options, self._pairs(student, teacher)
        chosen = [pairs[number - 1] for number in self.numbers]
        if options.loss in _REGRESSED:
            regressed = zip(self.regressors, chosen, strict=True)
            chosen = [(regressor(own), other) for regressor, (own, other) in regressed]
        losses = torch.stack([_LOSSES[options.loss](*pair) for pair in chosen])
        names = [f"layer_{number}" for number in self.numbers]
        return dict(zip(names, self._weighted(losses).unbind(), strict=True))

    def _weighted(self, losses: Tensor) -> Tensor:
        options = self.options
        if options.weights == "softmax":
            return softmax_weighted(losses, self.balance)
        if options.weights == "uncertainty":
            return uncertainty_weighted(losses, self.balance)
        given = options.layer_weights or [1.0] * len(losses)
        return torch.stack([weight * loss for weight, loss in zip(given, losses.unbind(), strict=True)])

    def _pairs(self, student: Output, teacher: Output) -> list[tuple[Tensor, Tensor]]:
        own, other, name = student.features, teacher.features, self.options.name
        if self.options.loss in _OF_MAPS:
            return [adapters.same_size(*pair) for pair in adapters.map_pairs(own, other, name)]
        return [adapters.comparable(*pair) for pair in adapters.layer_pairs(own, other, name)]
