"""A teacher that is made of the student's own past: its averaged weights, or its averaged answers.

`form=mean_teacher`: Tarvainen, Valpola 2017, "Mean teachers are better role models",
https://arxiv.org/abs/1703.01780, section 2. After each step the teacher's parameters move a little towards the
student's. It runs in training mode without gradient, as in the authors' code, so that its batch norm has statistics of
its own, of what the averaged weights answer; nothing is copied from the student's.

`form=temporal`: Laine, Aila 2017, "Temporal ensembling for semi-supervised learning",
https://arxiv.org/abs/1610.02242, section 2.2. Of each example the student's answers of all earlier epochs are kept as
a moving average, which is divided by 1 - momentum^t to make up for its beginning at zero.

Either way the student is to answer alike under another noise, for examples with and without a label.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from distill.config.options import BelowOne, Fraction, NonNegative
from distill.methods.base import Method, MethodOptions, methods
from distill.methods.joint import part_of, trained_as_one
from distill.methods.mean_teacher import average_decay, consistency_loss, moved_average, ramp_up
from distill.methods.memory import from_all_processes
from distill.methods.soft_targets import soft_target_loss
from distill.models.together import Together, noisy
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node
    from distill.models.taps import Tapped, Taps

# What the papers and their code weigh it by: there, too, errors are means over classes and divergences are not.
_WEIGHTS = {("mean_teacher", "mse"): 100.0, ("mean_teacher", "kl"): 10.0, ("temporal", "mse"): 30.0}
_SMALLEST = 1e-12  # of a probability


@dataclass(frozen=True, kw_only=True)
class EmaOptions(MethodOptions):
    """Options of `ema`.

    Attributes:
        form: What is averaged: weights (`mean_teacher`), or answers to each example (`temporal`).
        decay: Of the weights, how much of the average stays at a step.
        momentum: Of the answers, how much of the average stays at an epoch.
        consistency: What compares the answers: the squared error of probabilities, or KL.
        weight: Of that; `None` takes the authors'.
        ramp_share: Share of the epochs over which the weight rises, as `exp(-5 * (1 - x)^2)`.
        noise: Standard deviation of Gaussian noise in the inputs, in those of the normalised inputs.
    """

    name: str = "ema"
    form: Literal["mean_teacher", "temporal"] = "mean_teacher"
    decay: BelowOne = 0.97
    momentum: BelowOne = 0.6
    consistency: Literal["mse", "kl"] = "mse"
    weight: NonNegative | None = None
    ramp_share: Fraction = 0.27
    noise: NonNegative = 0.15

    def check(self) -> Iterable[str]:
        """Temporal ensembling is about squared errors."""
        yield from super().check()
        if (self.form, self.consistency) not in _WEIGHTS:
            yield f"consistency={self.consistency} is not allowed with form={self.form}: it must be mse."


@methods.register("ema", EmaOptions)
class Ema(Method):
    """`cross_entropy + weight * rise * consistency`."""

    uses_teacher = False
    unlabelled = True
    options: EmaOptions
    steps: Tensor
    answers: Tensor
    seen: Tensor

    def __init__(self, options: EmaOptions):
        super().__init__(options)
        self._averages_weights = options.form == "mean_teacher"
        if self._averages_weights:
            self.taps = frozenset({"heads"})
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @classmethod
    def plan(cls, options: EmaOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Baseline and student; where weights are averaged, their average too, in training with the student."""
        if options.form == "temporal":
            return [cast.baseline, cast.student]
        pair = trained_as_one(cast.student, "pair")
        model = cast.student.model
        average = part_of(pair, "average", model, "networks.1")
        return [cast.baseline, pair, average, part_of(pair, "student", model, "networks.0")]

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The student, with the average of its weights beside it where there is one."""
        if not self._averages_weights:
            return student, taps
        pair = Together([student, copy.deepcopy(student).requires_grad_(False)], self.options.noise)
        return pair, pair.taps

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Makes room for an answer to each example, where answers are averaged."""
        if not self._averages_weights:
            classes = student.see(example).logits.shape[1]
            self.register_buffer("answers", torch.zeros(len(labels), classes))
            self.register_buffer("seen", torch.zeros(len(labels)))  # restored with the rest where a step is skipped
        self.to(example.inputs.device)

    def prepare(self, batch: Batch) -> Batch:
        """The batch with noise; two networks that learn together have each their own, and see to it themselves."""
        if self._averages_weights or not self.options.noise:
            return batch
        return replace(batch, inputs=noisy(batch.inputs, self.options.noise))

    @property
    def changes(self) -> bool:
        """Always: what is averaged moves."""
        return True

    @property
    def weight(self) -> float:
        """Of the consistency in this epoch."""
        options = self.options
        full = _WEIGHTS[options.form, options.consistency] if options.weight is None else options.weight
        return full * ramp_up(self.epoch, options.ramp_share * self.epochs)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hard` and `consistency`."""
        own = student.logits
        other = student.heads[1] if self._averages_weights else self._remembered(own, batch)
        if self.options.consistency == "kl":
            differ = soft_target_loss(own, other.detach(), 1.0)
        else:
            differ = consistency_loss(own, other)
        return {"hard": self.hard_loss(own, batch), "consistency": self.weight * differ}

    @torch.no_grad()
    def after_step(self, network: nn.Module) -> None:
        """Moves the averaged weights."""
        if not self._averages_weights:
            return
        assert isinstance(network, Together)
        student, average = network.networks
        self.steps += 1
        decay = average_decay(self.steps, self.options.decay)
        for kept, value in zip(average.parameters(), student.parameters(), strict=True):
            kept.copy_(moved_average(kept, value, decay))

    @torch.no_grad()
    def _remembered(self, logits: Tensor, batch: Batch) -> Tensor:
        """What was answered in earlier epochs, as logits; the student's own answer where there were none.

        The answers of now are kept for later ones.
        """
        momentum, now = self.options.momentum, logits.softmax(dim=1)
        times = self.seen[batch.index][:, None]
        before = self.answers[batch.index] / (1 - momentum**times).clamp(min=_SMALLEST)
        index, answers = from_all_processes(batch.index, now)
        self.answers[index] = momentum * self.answers[index] + (1 - momentum) * answers
        self.seen[index] += 1
        return torch.where(times > 0, before, now).clamp(min=_SMALLEST).log()
