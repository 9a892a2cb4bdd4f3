"""The interface of a distillation method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Fraction, Options
from distill.config.registry import Registry
from distill.errors import ConfigError
from distill.methods.hard_labels import HardLabels
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.data.split import Split
    from distill.methods.nodes import Cast, Node
    from distill.models.taps import Tapped, Taps

HARD = "hard"


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Options):
    """Options of every method that teaches.

    Attributes:
        warmup: Share of the epochs over which all terms but the hard labels' rise from zero to their weight.
    """

    warmup: Fraction = 0.0

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """Why it cannot be used for a task, a sentence each.

        Args:
            regression: Whether the targets are numbers instead of classes.
        """
        if regression:
            yield (
                f"method={self.name} is not allowed with real-valued targets: it is about classes; give "
                "method=regression, method=logits, or a method on features such as fitnet."
            )


class Method(nn.Module):
    """What the student learns from; it knows nothing of loops, devices or files.

    A subclass implements `terms`, and `adapt` (or `build`) if it has parameters of its own (regressors, projectors):
    those are trained, clipped, saved and resumed with the student and are no part of the exported student.

    Attributes:
        taps: What it reads of an `Output` besides the logits: any of `features`, `preactivations`, `embedding`
            and `heads`.
        uses_teacher: Whether it needs a teacher at all.
        unlabelled: Whether the student may learn from examples without a label, too (`dataset.labelled`): of labels it
            reads `hard_loss` alone.
        found: What there is to tell of what was found out before the training, for `details.json`.
        strong: Whether it reads `Output.strong`, the answers to a strongly augmented form of the batch.
        smallest_batch: How many examples it needs at a time.
        stacks: Options that are plain factors of the loss, so that a stacked sweep may give each of its
            trainings another number; `None` for a method that cannot be stacked, such as one with a memory.
        shared: Whether several processes may train with it together.
        tested: Whether what is trained is measured after each epoch, as it may be better then.
        lr_scale: Learning rate of the method's own parameters, as a multiple of the network's.
        label_smoothing: Probability spread over all classes in `hard_loss`; set from the hparams.
        hard_labels: How much labels count in `hard_loss` where some classes are rare; likewise, and from the data.
        tasks: Class numbers of the tasks that came so far, the one to learn last, where the data set has tasks.
        epoch: The number of the epoch, from 0.
        epochs: How many there will be.
    """

    taps: frozenset[str] = frozenset()
    uses_teacher: ClassVar[bool] = True
    unlabelled: ClassVar[bool] = False
    strong: bool = False
    smallest_batch: int = 1
    stacks: frozenset[str] | None = None
    shared: ClassVar[bool] = True
    tested: ClassVar[bool] = True
    lr_scale: float = 1.0
    label_smoothing: float = 0.0
    hard_labels: HardLabels | None = None
    tasks: tuple[tuple[int, ...], ...] = ()

    def __init__(self, options: Options):
        super().__init__()
        self.options = options
        self.epoch, self.epochs = 0, 1
        self.found: dict[str, Any] = {}
        self._observed: dict[str, Tensor] = {}

    @classmethod
    def plan(cls, options: Options, cast: Cast) -> list[Node]:
        """The networks of a run with this method, each after those that it comes from.

        Args:
            options: Of the method.
            cast: Teacher, baseline and student as they are where the method has nothing to say.

        Raises:
            ConfigError: The options do not fit these networks.
        """
        if not cls.uses_teacher:
            return [cast.baseline, cast.student]
        return [cast.teacher, cast.baseline, replace(cast.student, parents=(cast.teacher.role,))]

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The network that is trained, measured and exported, where it is more than the student itself.

        Args:
            student: On the device, in evaluation mode.
            taps: Where the student is read.
            teacher: Likewise; in fp32, and not to be changed; `None` where there is none.
            teacher_taps: Where the teacher is read.
            example: A few examples.

        Returns:
            That network, and where it is read.
        """
        return student, taps

    @classmethod
    def check_sizes(cls, parameters: Mapping[str, int]) -> None:
        """Looks at how large the networks of the plan are, before anything trains.

        Args:
            parameters: Of each network by role, in the order of the plan.

        Raises:
            ConfigError: They do not fit the method.
        """

    @classmethod
    def arranges(cls) -> bool:
        """Whether it has a plan of its own, other than one teacher for one student, or none."""
        return cls.plan.__func__ is not Method.plan.__func__  # pyright: ignore[reportFunctionMemberAccess]

    @classmethod
    def redesigns(cls) -> bool:
        """Whether it trains another network than the student alone."""
        return cls.redesign is not Method.redesign

    def finish(self, network: nn.Module, seen: Callable[[int], Tensor]) -> nn.Module:
        """The network that is measured, kept and exported, where it is another one than was trained.

        Args:
            network: As `redesign` made it, trained; or as fresh, where its weights will come from a file.
            seen: Gives `[examples, ...]` inputs, of at most so many examples that it learned from, two at least; blank
                ones where its weights will come from a file.
        """
        return network

    def examples(self, split: Split, answers: Callable[[], Tensor]) -> Split:
        """What the student learns from, where that is something else than what it may see.

        Args:
            split: What it may see.
            answers: Gives the teacher's logits `[examples, classes]` to all of it, without augmentation, on its device.
        """
        return split

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Makes what belongs to the method, from both networks in evaluation mode and without gradient.

        Args:
            student: With the taps of the method.
            teacher: Likewise; the student itself where there is no teacher.
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

    def inherit(self, teacher: Callable[[Batch], Output], others: Sequence[nn.Module]) -> None:
        """Called before the training with what it comes from, all of it frozen and in evaluation mode.

        Args:
            teacher: Answers as the teacher that `terms` is given, but with gradient to the inputs.
            others: The networks of all parents after the teacher.
        """

    def generated(self, count: int) -> Tensor:
        """Some of what the student learned from, where its method makes that, as networks see it.

        Args:
            count: The most that are wanted; each call gives the same ones.

        Returns:
            `[pictures, channels, height, width]`.
        """
        raise NotImplementedError

    @property
    def reads_teacher(self) -> bool:
        """Whether the teacher's answers count in this epoch; where they do not, it is not asked."""
        return True

    def prepare(self, batch: Batch) -> Batch:
        """The batch as the networks are to see it; called before they are asked, with gradient enabled."""
        return batch

    def after_step(self, network: nn.Module) -> None:
        """Called when the optimiser has moved the weights.

        Args:
            network: That is trained.
        """

    def observe(self, name: str, value: Tensor) -> None:
        """Logs a number of this batch that is not trained on: its mean over an epoch is a column of metrics.csv.

        Args:
            name: Of the column; it must not be that of another.
            value: A scalar, the mean over the examples of the batch.
        """
        self._observed[name] = value.detach().float()

    def observed(self) -> dict[str, Tensor]:
        """What was observed since it was asked for last."""
        found, self._observed = self._observed, {}
        return found

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
            Named scalars, already weighted, in fp32; their sum is trained on. Those of hard labels are called `hard`,
            or `hard.` with a word of whose they are.
        """
        terms, ramp = self.terms(student, teacher, batch), self.ramp
        if ramp == 1.0:
            return terms
        return {name: term if name.partition(".")[0] == HARD else ramp * term for name, term in terms.items()}

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """What a method is: the terms of its loss; arguments and result as in `forward`."""
        raise NotImplementedError

    def hard_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy with the labels, mean over the batch, in fp32; squared error where the labels are numbers.

        Where examples are mixed, each label counts as much as its example is seen (Zhang et al. 2018).

        Args:
            logits: `[batch, classes]`.
            batch: The examples.
        """
        logits = logits.float()
        if batch.mix is None and self.hard_labels is None and not batch.labels.is_floating_point():
            return F.cross_entropy(logits, batch.labels, label_smoothing=self.label_smoothing)
        return self.hard_losses(logits, batch).mean()

    def hard_losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """The same of each example, `[batch]`; zero for one without a label."""
        logits = logits.float()
        if batch.mix is None:
            return self._hard_losses(logits, batch.labels)
        own, other = (self._hard_losses(logits, labels) for labels in (batch.labels, batch.mix.labels))
        return batch.mix.share * own + (1 - batch.mix.share) * other

    def _hard_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        if labels.is_floating_point():
            return (logits - labels).square().mean(dim=1)
        if self.hard_labels is not None:
            return self.hard_labels.losses(logits, labels, self.label_smoothing)
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)


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
