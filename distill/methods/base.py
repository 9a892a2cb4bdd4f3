"""The interface of a distillation method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Fraction, Options
from distill.config.registry import Registry
from distill.errors import ConfigError
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.models.taps import Tapped, Taps

HARD = "hard"


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Options):
    """Options of every method that teaches.

    Attributes:
        warmup: Share of the epochs over which all terms but the hard labels' rise from zero to their weight.
    """

    warmup: Fraction = 0.0


class Method(nn.Module):
    """What the student learns from; it knows nothing of loops, devices or files.

    A subclass implements `terms`, and `adapt` (or `build`) if it has parameters of its own (regressors, projectors):
    those are trained, clipped, saved and resumed with the student and are no part of the exported student.

    Attributes:
        taps: What it reads of an `Output` besides the logits: any of `features`, `preactivations`, `embedding`
            and `heads`.
        uses_teacher: Whether it needs a teacher at all.
        strong: Whether it reads `Output.strong`, the answers to a strongly augmented form of the batch.
        smallest_batch: How many examples it needs at a time.
        stacks: Options that are plain factors of the loss, so that a stacked sweep may give each of its
            trainings another number; `None` for a method that cannot be stacked, such as one with a memory.
        label_smoothing: Probability spread over all classes in `hard_loss`; set from the hparams.
        epoch: The number of the epoch, from 0.
        epochs: How many there will be.
    """

    taps: frozenset[str] = frozenset()
    uses_teacher: ClassVar[bool] = True
    strong: bool = False
    smallest_batch: int = 1
    stacks: frozenset[str] | None = None
    label_smoothing: float = 0.0

    def __init__(self, options: Options):
        super().__init__()
        self.options = options
        self.epoch, self.epochs = 0, 1

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The network that is trained, measured and exported, where it is more than the student itself.

        Args:
            student: On the device, in evaluation mode.
            taps: Where the student is read.
            teacher: Likewise; in fp32, and not to be changed.
            teacher_taps: Where the teacher is read.
            example: A few examples.

        Returns:
            That network, and where it is read.
        """
        return student, taps

    @classmethod
    def redesigns(cls) -> bool:
        """Whether it trains another network than the student alone."""
        return cls.redesign is not Method.redesign

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Makes what belongs to the method, from both networks in evaluation mode and without gradient.

        Args:
            student: With the taps of the method.
            teacher: Likewise.
            example: A few examples.
            labels: `[examples]` int64, of all that the student will learn from; `Batch.index` counts in it.

        Raises:
            ConfigError: The networks are not of the kind that it needs.
        """
        self.adapt(student.see(example).float(), teacher.see(example).float())
        self.to(example.inputs.device)

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes adapters that fit what two networks answered in a dry run.

        Raises:
            ConfigError: The networks are not of the kind that the method needs.
        """

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Called when epoch `epoch` (from 0) of `epochs` starts, and again when it is resumed in its middle."""
        self.epoch, self.epochs = epoch, epochs

    @property
    def changes(self) -> bool:
        """Whether the same outputs give another loss in another epoch."""
        return isinstance(self.options, MethodOptions) and self.options.warmup > 0

    @property
    def ramp(self) -> float:
        """How much the terms of the teacher count in this epoch, 0..1."""
        if not isinstance(self.options, MethodOptions) or not self.options.warmup:
            return 1.0
        return min(1.0, (self.epoch + 1) / (self.options.warmup * self.epochs))

    @property
    def reads_teacher(self) -> bool:
        """Whether the teacher's answers count in this epoch; where they do not, it is not asked."""
        return True

    def first_epochs(self, share: float) -> int:
        """How many epochs a first stage takes: at least one, and one is left for what comes after.

        Args:
            share: Of all epochs; rounded.
        """
        return min(max(1, round(share * self.epochs)), self.epochs - 1) if share else 0

    def begins(self, share: float) -> bool:
        """Whether this epoch belongs to a first stage that takes this share of all epochs."""
        return self.epoch < self.first_epochs(share)

    def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss; all but the hard labels' are warmed up.

        Args:
            student: What the student answered, with gradient.
            teacher: What the teacher answered to the same inputs, without.
            batch: The examples.

        Returns:
            Named scalars, already weighted, in fp32; their sum is trained on.
        """
        terms, ramp = self.terms(student, teacher, batch), self.ramp
        if ramp == 1.0:
            return terms
        return {name: term if name == HARD else ramp * term for name, term in terms.items()}

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """What a method is: the terms of its loss; arguments and result as in `forward`."""
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


def main_labels(batch: Batch) -> Tensor:
    """`[batch]` the one label of each example; of a mixed one that of which more is seen."""
    if batch.mix is None:
        return batch.labels
    return torch.where(batch.mix.share >= 0.5, batch.labels, batch.mix.labels)


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
