"""Several teachers: You, Xu, Xu, Tao 2017, "Learning from Multiple Teacher Networks".

https://doi.org/10.1145/3097983.3098135, section 3.1: the student learns from the mean of its teachers' softened
probabilities. `weights=confidence` weighs them for each example by how well they know its label, as Zhang, Chen, Wang
2022, "Confidence-Aware Multi-Teacher Knowledge Distillation", https://arxiv.org/abs/2201.00007, equation 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, Positive
from distill.errors import ConfigError
from distill.methods.ban import SEED_STEP
from distill.methods.base import main_labels, methods
from distill.methods.soft_targets import LogitMethod, ShareOptions, TemperatureOptions, soft_target_loss
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.config.model_options import ModelOptions
    from distill.methods.nodes import Cast, Node
    from distill.models.ensemble import Mean


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions(ShareOptions, TemperatureOptions):
    """Options of `ensemble`.

    Attributes:
        n_teachers: So many networks of `model@teacher`, which differ in their seeds; `None` is 3.
        teachers: In place of them, networks: names of `conf/model`, or mappings.
        mean: What is averaged, softened probabilities or logits.
        weights: How much each teacher counts: `equal`, a number for each, `learnt` from the labels, or by `confidence`.
    """

    name: str = "ensemble"
    n_teachers: Count | None = None
    teachers: list[str | dict[str, Any]] = field(default_factory=list)
    mean: Literal["probabilities", "logits"] = "probabilities"
    weights: Literal["equal", "learnt", "confidence"] | list[Positive] = "equal"

    def check(self) -> Iterable[str]:
        """There are several, and as many weights."""
        yield from super().check()
        if self.teachers and len(self.teachers) < 2:
            yield f"teachers={self.teachers} is not allowed: name two at least, or take one with model@teacher=."
        if self.teachers and self.n_teachers not in (None, len(self.teachers)):
            yield f"n_teachers={self.n_teachers} is not allowed: teachers names {len(self.teachers)}; leave one out."
        elif not self.teachers and self.count < 2:
            yield f"n_teachers={self.n_teachers} is not allowed: it must be 2 at least; one teacher is method=hinton."
        if isinstance(self.weights, list) and len(self.weights) != self.count:
            yield f"weights={self.weights} is not allowed: there are {self.count} teachers; give a number for each."

    @property
    def count(self) -> int:
        """How many teachers there are."""
        return len(self.teachers) or self.n_teachers or 3


@methods.register("ensemble", EnsembleOptions)
class SeveralTeachers(LogitMethod):
    """`(1 - alpha) * cross_entropy + alpha * T^2 * KL` with the teachers' weighted mean."""

    taps = frozenset({"heads"})
    options: EnsembleOptions

    def __init__(self, options: EnsembleOptions):
        super().__init__(options)
        self.scores = nn.Parameter(torch.zeros(options.count)) if options.weights == "learnt" else None

    @classmethod
    def plan(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, options: EnsembleOptions, cast: Cast
    ) -> list[Node]:
        """The teachers, their ensemble, baseline and student.

        Raises:
            ConfigError: A teacher is no network, or two are one.
        """
        models = _models(options, cast)
        teachers = [
            replace(cast.teacher, role="teacher" if number == 1 else f"teacher_{number}", model=model)
            for number, model in enumerate(models, start=1)
        ]
        together = replace(
            cast.teacher,
            role="ensemble",
            kind="ensemble",
            parents=tuple(node.role for node in teachers),
            members=tuple(models),
            mean=options.mean,
            step_of="ensemble",
        )
        return [*teachers, together, cast.baseline, replace(cast.student, parents=("ensemble",))]

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft`, `hard` and, where weights are learnt, `weights`."""
        mixed = mixed_logits(teacher.heads, self.shares(teacher.heads, batch), self.options.mean, self.T)
        found = {
            # What is mixed is divided by the temperature already.
            "soft": self.alpha * (self.T * self.T) * soft_target_loss(student.logits.float() / self.T, mixed, 1.0),
            "hard": (1 - self.alpha) * self.hard_loss(student.logits, batch),
        }
        if self.scores is not None:
            shares = self.scores.softmax(dim=0).expand(len(batch), -1)
            found["weights"] = F.cross_entropy(
                mixed_logits(teacher.heads, shares, self.options.mean, 1.0), main_labels(batch)
            )
            for number, share in enumerate(self.scores.softmax(dim=0), start=1):
                self.observe(f"teacher_{number}_weight", share)
        return found

    def shares(self, answers: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """`[batch, teachers]` how much each teacher counts, without gradient; rows sum to 1.

        Args:
            answers: Logits `[batch, classes]` of each.
            batch: With the labels that show how well they know.
        """
        weights = self.options.weights
        if weights == "confidence":
            return confidence(answers, main_labels(batch))
        if self.scores is not None:
            found = self.scores.detach().softmax(dim=0)
        else:
            equal = [1.0] * len(answers)
            found = answers[0].new_tensor(weights if isinstance(weights, list) else equal, dtype=torch.float32)
        return (found / found.sum()).expand(len(batch), -1)


def confidence(answers: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """`[batch, teachers]` shares that sum to 1, larger for a teacher that finds the label more likely.

    With cross-entropies c_k and K teachers: `(1 - softmax(c)_k) / (K - 1)`.

    Args:
        answers: Logits `[batch, classes]` of each, two at least.
        labels: `[batch]` int64.
    """
    costs = torch.stack([F.cross_entropy(each.float(), labels, reduction="none") for each in answers], dim=1)
    return (1 - costs.softmax(dim=1)) / (len(answers) - 1)


def mixed_logits(answers: tuple[Tensor, ...], shares: Tensor, mean: Mean, T: float) -> Tensor:
    """`[batch, classes]` in fp32: logits of the weighted mean at a temperature, by which they are divided already.

    Args:
        answers: Logits `[batch, classes]` of each network.
        shares: `[batch, networks]`, rows sum to 1.
        mean: Of the `probabilities` or of the `logits`.
        T: Temperature, > 0.
    """
    logits = torch.stack([each.float() for each in answers], dim=1) / T
    shares = shares.unsqueeze(2)
    if mean == "logits":
        return (shares * logits).sum(dim=1)
    return torch.logsumexp(logits.log_softmax(dim=2) + shares.log(), dim=1)


def _models(options: EnsembleOptions, cast: Cast) -> list[ModelOptions]:
    own = cast.teacher.model
    if options.teachers:
        models = [cast.network("teachers", named, own.seed) for named in options.teachers]
    elif not own.train:
        raise ConfigError(
            f"n_teachers={options.count} is not allowed with teacher.train=false: they would be one network so "
            "many times; name files with teachers=[{name: ..., checkpoint: FILE}, ...]."
        )
    else:
        models = [replace(own, seed=own.seed + SEED_STEP * number) for number in range(options.count)]
    # Networks of one kind differ in their seeds alone.
    for number, model in enumerate(models):
        if model.checkpoint is None:
            same = models[:number].count(model)
            models[number] = replace(model, seed=model.seed + SEED_STEP * same) if same else model
    return models
