"""Hints: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets".

https://arxiv.org/abs/1412.6550, equations 3 (hints) and 2 (soft targets), algorithm 1. In two stages, as in the paper,
the student first learns the hint alone, which moves nothing above its guided layer, and then labels and soft targets
whose weight falls linearly. In one stage, as in the CIFAR-100 benchmark, the hint is a term beside the labels.

The paper sums squared differences and halves them; the loss here is their mean, as in all public code, so that one
weight suits maps of any size. Its soft targets are not multiplied by T^2; here they are, as in every method. As the
paper asks, the regressor ends with the non-linearity of the hint: with ReLU where no entry of the teacher's layer is
negative. Regressors of maps have batch norm, as the benchmark's, without which a large weight does not converge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, NonNegative, Positive
from distill.methods import adapters
from distill.methods.base import methods
from distill.methods.schedules import scheduled
from distill.methods.staged import Staged, StagedOptions
from distill.types import Batch, Output


def hint_loss(regressed: Tensor, hint: Tensor) -> Tensor:
    """Squared difference, mean over all entries, in fp32.

    Args:
        regressed: `[batch, channels, height, width]` or `[batch, width]`, the student's layer after the regressor.
        hint: The teacher's layer, of the same shape.
    """
    return F.mse_loss(regressed.float(), hint.float())


@dataclass(frozen=True, kw_only=True)
class FitnetOptions(StagedOptions):
    """Options of `fitnet`.

    Attributes:
        stages: `one`: hint and labels together. `two`: the hint alone for `init` of the epochs, then the others alone.
        hint: Which stage of the networks is guided, counted from 1; the last where there are fewer.
        soft_start: Weight of soft targets where the second of two stages begins.
        soft_end: The same in the last epoch.
    """

    others_alone: ClassVar[bool] = False  # what they weigh moves
    name: str = "fitnet"
    weight: NonNegative = 100.0
    T: Positive = 3.0
    stages: Literal["one", "two"] = "one"
    hint: Count = 2
    soft_start: NonNegative = 4.0
    soft_end: NonNegative = 1.0

    def check(self) -> Iterable[str]:
        """Two stages take their share of the epochs, and move the weight of soft targets."""
        yield from super().check()
        if self.stages == "two" and not (self.hard_weight or (self.soft_start and self.soft_end)):
            yield (
                f"hard_weight=0 is not allowed with stages=two, soft_start={self.soft_start:g} and "
                f"soft_end={self.soft_end:g}, which leave epochs without anything to learn from: give labels a weight."
            )
        if self.stages == "two" and not self.init:
            yield "init=0 is not allowed with stages=two: give the share of the epochs that the first one takes."
        if self.stages == "two" and self.soft_weight:
            yield (
                f"soft_weight={self.soft_weight:g} is not allowed with stages=two, where that weight moves from "
                "soft_start to soft_end: give those."
            )

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """The second of two stages learns from soft targets as well."""
        yield from super().refusals(regression=regression)
        if regression and self.stages == "two" and self.soft_start and self.soft_end:
            yield (
                "method.stages=two is not allowed with real-valued targets: its second stage learns from soft targets, "
                "which are probabilities of classes; give method.soft_start=0."
            )


@methods.register("fitnet", FitnetOptions)
class Fitnet(Staged):
    """`hard_weight * cross_entropy + weight * mse(regressor(student's layer), teacher's layer)`, or in two stages."""

    taps = frozenset({"features"})
    options: FitnetOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the regressor."""
        guided, hint = self._layers(student, teacher)
        # Behind batch norm a bias would have no gradient.
        parts = [adapters.regressor(guided, hint, bias=guided.ndim != 4)]
        if guided.ndim == 4:
            parts.append(nn.BatchNorm2d(hint.shape[1]))
            if hint[0, 0].numel() == 1:
                self.smallest_batch = 2
        if bool((hint >= 0).all()):
            parts.append(nn.ReLU())
        self.regressor = nn.Sequential(*parts)

    @property
    def first_stage(self) -> float:
        """Its share of the epochs."""
        return self.options.init if self.options.stages == "two" else 0.0

    @property
    def reads_teacher(self) -> bool:
        """Whether the hint or soft targets count."""
        return self.options.stages == "one" or super().reads_teacher

    @property
    def soft_weight(self) -> float:
        """Of soft targets in this epoch."""
        options = self.options
        if options.stages == "one":
            return options.soft_weight
        first = self.first_epochs(self.first_stage)
        return scheduled(options.soft_start, options.soft_end, "linear", self.epoch - first, self.epochs - first)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `fitnet`, `soft` and `hard`: all together, or the first alone before the others."""
        if self.options.stages == "two":
            return super().terms(student, teacher, batch)
        return {**self.own(student, teacher, batch), **self.others(student, teacher, batch)}

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """How far the regressor is from the hint."""
        guided, hint = self._layers(student, teacher)
        return hint_loss(self.regressor(guided), hint)

    def _layers(self, student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
        pairs = adapters.layer_pairs(student.features, teacher.features, self.options.name)
        return adapters.comparable(*pairs[min(self.options.hint, len(pairs)) - 1])
