"""Exits on stages: Hao et al. 2023, "One-for-All: Bridge the Gap Between Heterogeneous Architectures" (OFA-KD).

https://arxiv.org/abs/2310.19444, equations 4 to 7. Features of a transformer and of a convolutional network cannot be
compared, but logits can: each stage of the student gets a head of its own, which learns from the teacher's logits.
The target of the label is enhanced, the more the surer the teacher is of it.

The authors' heads for transformers have attention blocks; here tokens are a map of patches, and one kind of head with
separable convolutions serves both. Their code takes the logarithm of probabilities, which is infinite for a student
that is very sure; here it is log-softmax.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import NonNegative, Positive
from distill.methods.adapters import layers
from distill.methods.base import check_same_classes, main_labels, methods
from distill.methods.exits import channels, make_exit
from distill.methods.soft_targets import LogitMethod, LogitOptions
from distill.types import Batch, Output


def enhanced_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, eps: float | Tensor, T: float | Tensor
) -> Tensor:
    """Cross-entropy with `(p_teacher + 1_label)^eps - 1_label`, mean over the batch, in fp32.

    With `eps=1` that is the cross-entropy with the teacher's probabilities.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        labels: `[batch]` int64.
        eps: Enhancement of the label's class, >= 1 in the paper.
        T: Temperature, > 0.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    student = F.log_softmax(student_logits.float() / T, dim=1)
    label = (torch.arange(student.shape[1], device=labels.device) == labels[:, None]).float()
    target = (F.softmax(teacher_logits.float() / T, dim=1) + label) ** eps - label
    return -(target * student).sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class OfaOptions(LogitOptions):
    """Options of `ofa`.

    Attributes:
        eps: Enhancement of the label's class.
        exit_weight: Of each exit.
        soft_weight: Of the same loss on the student's own logits.
        hard_weight: Of the hard labels.
    """

    name: str = "ofa"
    T: Positive = 1.0
    eps: Positive = 1.5
    exit_weight: NonNegative = 1.0
    soft_weight: NonNegative = 1.0
    hard_weight: NonNegative = 1.0


@methods.register("ofa", OfaOptions)
class Ofa(LogitMethod):
    """`hard_weight * cross_entropy + soft_weight * enhanced loss + exit_weight * sum of the exits' enhanced losses`."""

    taps = frozenset({"features"})
    smallest_batch = 2  # the heads have batch norm
    options: OfaOptions
    exits: nn.ModuleList

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes a head for each stage of the student.

        Raises:
            ConfigError: It has no stages.
        """
        stages = layers(student.features, "student", "ofa")
        width = max(channels(last) for last in (*stages[-1:], *teacher.features[-1:]))
        self.exits = nn.ModuleList(
            make_exit(stage, len(stages) - number, width, student.logits.shape[1])
            for number, stage in enumerate(stages, 1)
        )

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `exits`, `soft` and `hard`."""
        options, labels = self.options, main_labels(batch)

        def enhanced(logits: Tensor) -> Tensor:
            return enhanced_target_loss(*self.compared(Output(logits), teacher), labels, options.eps, self.T)

        exits = [enhanced(head(feature)) for head, feature in zip(self.exits, student.features, strict=True)]
        return {
            "exits": options.exit_weight * torch.stack(exits).sum(),
            "soft": options.soft_weight * enhanced(student.logits),
            "hard": options.hard_weight * self.hard_loss(student.logits, batch),
        }
