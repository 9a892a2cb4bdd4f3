"""What methods on logits share: temperature, weight of the soft term, their schedules, standardised logits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from distill.config.options import Flag, Fraction, Positive
from distill.methods import schedules
from distill.methods.base import Method, MethodOptions, check_same_classes
from distill.methods.schedules import Shape, scheduled
from distill.types import Output

_EPSILON = 1e-7


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, T: float | Tensor, weights: Tensor | None = None
) -> Tensor:
    """`T^2 * KL(softmax(teacher / T) || softmax(student / T))`, mean over the batch, in fp32.

    Zero when both agree up to a constant per example. As T grows it tends to `||zs - zt||^2 / (2 * classes)`
    of the centred logits. Hinton, Vinyals, Dean 2015, https://arxiv.org/abs/1503.02531, section 2.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.
        weights: `[batch]` how much each example counts; `None` counts each once.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student = F.log_softmax(student_logits.float() / T, dim=-1)
    teacher = F.log_softmax(teacher_logits.float() / T, dim=-1)
    # Written out instead of F.kl_div, which has no vmap rule and divides by batch * classes by default.
    losses = (teacher.exp() * (teacher - student)).sum(dim=-1)
    return T * T * (losses if weights is None else weights * losses).mean()


def standardized(logits: Tensor) -> Tensor:
    """Logits of mean 0 and standard deviation 1 in each example, in fp32.

    Sun et al. 2024, "Logit Standardization in Knowledge Distillation", https://arxiv.org/abs/2403.01427, algorithm 1.

    Args:
        logits: `[batch, classes]`.
    """
    logits = logits.float()
    return (logits - logits.mean(dim=-1, keepdim=True)) / (logits.std(dim=-1, keepdim=True) + _EPSILON)


@dataclass(frozen=True, kw_only=True)
class TemperatureOptions(MethodOptions):
    """Options of every method with a temperature.

    Attributes:
        T: Temperature, in the first epoch if it moves.
        T_schedule: How it moves.
        T_end: Temperature of the last epoch.
    """

    T: Positive = 4.0
    T_schedule: Shape = "constant"
    T_end: Positive | None = None

    def check(self) -> Iterable[str]:
        """A schedule needs an end."""
        yield from super().check()
        yield from schedules.problems("T", self.T_schedule, self.T_end)


@dataclass(frozen=True, kw_only=True)
class ShareOptions(MethodOptions):
    """Options of methods that divide their weight between a soft and a hard term.

    Attributes:
        alpha: Weight of the soft term, in the first epoch if it moves; the hard term has `1 - alpha`.
        alpha_schedule: How it moves.
        alpha_end: Weight of the soft term in the last epoch.
    """

    alpha: Fraction = 0.9
    alpha_schedule: Shape = "constant"
    alpha_end: Fraction | None = None

    def check(self) -> Iterable[str]:
        """A schedule needs an end."""
        yield from super().check()
        yield from schedules.problems("alpha", self.alpha_schedule, self.alpha_end)


@dataclass(frozen=True, kw_only=True)
class ComparedOptions(MethodOptions):
    """Options of every method that compares the logits of both networks.

    Attributes:
        standardize: Compare logits of mean 0 and deviation 1 in each example (Sun et al. 2024).
    """

    standardize: Flag = False


@dataclass(frozen=True, kw_only=True)
class LogitOptions(TemperatureOptions, ComparedOptions):
    """Options of methods that compare logits at a temperature."""


@dataclass(frozen=True, kw_only=True)
class AlphaOptions(ShareOptions, LogitOptions):
    """Options of methods that compare logits at a temperature and share their weight with the hard labels."""


class LogitMethod(Method):
    """A method that compares logits; each property needs the options of its name."""

    options: Any  # of the classes above; a subclass says which

    @property
    def T(self) -> float:
        """The temperature of this epoch."""
        options = self.options
        return scheduled(options.T, options.T_end, options.T_schedule, self.epoch, self.epochs)

    @property
    def alpha(self) -> float:
        """The weight of the soft term in this epoch."""
        options = self.options
        return scheduled(options.alpha, options.alpha_end, options.alpha_schedule, self.epoch, self.epochs)

    @property
    def changes(self) -> bool:
        """Whether a schedule or the warm-up moves."""
        moving = any(getattr(self.options, name, "constant") != "constant" for name in ("T_schedule", "alpha_schedule"))
        return moving or super().changes

    def compared(self, student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
        """The logits of both, `[batch, classes]`, standardised if that is asked for.

        Raises:
            ConfigError: The number of classes differs.
        """
        check_same_classes(student.logits, teacher.logits)
        if self.options.standardize:
            return standardized(student.logits), standardized(teacher.logits)
        return student.logits.float(), teacher.logits.float()
