"""The interface of a distillation method."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Options
from distill.config.registry import Registry
from distill.errors import ConfigError
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.models.taps import Tapped


class Method(nn.Module):
    """What the student learns from; it knows nothing of loops, devices or files.

    A subclass implements `forward`, and `build` if it has parameters of its own (regressors, projectors):
    those are trained, clipped, saved and resumed with the student and are no part of the exported student.

    Attributes:
        taps: What it reads of an `Output` besides the logits: any of `features` and `embedding`.
        uses_teacher: Whether it needs a teacher at all.
        stacks: Options that are plain factors of the loss, so that a stacked sweep may give each of its
            trainings another number; `None` for a method that cannot be stacked, such as one with a memory.
        label_smoothing: Probability spread over all classes in `hard_loss`; set from the hparams.
    """

    taps: ClassVar[frozenset[str]] = frozenset()
    uses_teacher: ClassVar[bool] = True
    stacks: ClassVar[frozenset[str] | None] = None
    label_smoothing: float = 0.0

    def __init__(self, options: Options):
        super().__init__()
        self.options = options

    def build(self, student: Tapped, teacher: Tapped, example: Batch) -> None:
        """Makes adapters from a dry run of both networks, in evaluation mode, on a few examples."""

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Called when epoch `epoch` (from 0) of `epochs` starts, and again when it is resumed in its middle."""

    def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss.

        Args:
            student: What the student answered, with gradient.
            teacher: What the teacher answered to the same inputs, without.
            batch: The examples.

        Returns:
            Named scalars, already weighted, in fp32; their sum is trained on.
        """
        raise NotImplementedError

    def hard_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy with the labels, mean over the batch, in fp32.

        Where examples are mixed, each label counts as much as its example is seen (Zhang et al. 2018).

        Args:
            logits: `[batch, classes]`.
            batch: The examples.
        """
        logits = logits.float()
        if batch.mix is None:
            return F.cross_entropy(logits, batch.labels, label_smoothing=self.label_smoothing)
        own, other = (
            F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
            for labels in (batch.labels, batch.mix.labels)
        )
        return (batch.mix.share * own + (1 - batch.mix.share) * other).mean()


methods: Registry[type[Method]] = Registry("method", "distill.methods")


def check_same_classes(student: Tensor, teacher: Tensor) -> None:
    """Refuses to compare logits over different classes.

    Raises:
        ConfigError: The number of classes differs.
    """
    if student.shape[-1] != teacher.shape[-1]:
        raise ConfigError(
            f"The teacher answers for {teacher.shape[-1]} classes and the student for {student.shape[-1]}: "
            "a method on logits needs the same number."
        )
