"""What a run is asked for, typed: the keys every run has, and those of its networks, data and method."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from distill.config.dataset_options import DatasetOptions
from distill.config.model_options import ModelOptions
from distill.config.options import (
    BelowOne,
    Count,
    Flag,
    Natural,
    NonNegative,
    Options,
    Positive,
)

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
SelectName = Literal["last", "best_val"]
SamplerName = Literal["natural", "balanced"]

# What `epochs: auto` aims at.
_USUAL_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 1500, 10, 300


@dataclass(frozen=True, kw_only=True)
class Hparams(Options):
    """How the networks of one role are trained; the comments in `conf/hparams/default.yaml` say more.

    Attributes:
        epochs: Passes over the training examples; `auto` makes about 1,500 steps in 10 to 300 epochs.
        batch_size: Examples per step.
        optimizer: `sgd` (with momentum), `nesterov`, `adam` or `adamw`.
        lr: Peak learning rate.
        momentum: Of `sgd` and `nesterov`.
        weight_decay: L2 penalty (decoupled for `adamw`).
        schedule: How the learning rate falls.
        warmup_epochs: Epochs of linear rise from zero.
        step_epochs: Epochs between two drops of `step`.
        milestones: Epochs after which `multistep` drops.
        gamma: Factor of each drop.
        min_lr: Where `cosine` ends.
        label_smoothing: Probability spread over all classes in the hard labels.
        hard_loss: Cross-entropy with the hard labels: `plain`; `weighted`, so that all classes count alike however
            many examples they have; or `logit_adjusted`, with the log of each class's share added to the logits.
        sampler: `natural` shows every example once an epoch, `balanced` every class as often as the others.
        grad_clip: Largest gradient norm; `None` is off.
        ema: Decay of the moving average of the weights that is evaluated and kept; 0 is off.
        limit_examples: Train on at most this many examples, stratified; `None` takes all.
        precision: Of the forward pass; master weights and losses stay in fp32.
        accumulate: Parts that each batch goes through the network in, to save memory; `auto` begins with one
            and doubles it when memory runs out. The gradient is that of the whole batch, except
            through batch norm, which sees a part at a time.
        on_nan: What to do when a loss or a gradient is NaN or infinite: `stop`, or `skip` the step and count it.
        select: The epoch whose weights are kept: the `last` one, or that with the best accuracy on validation examples.
    """

    epochs: Count | Literal["auto"] = "auto"
    batch_size: Count = 64
    optimizer: Literal["sgd", "nesterov", "adam", "adamw"] = "adamw"
    lr: Positive = 0.002
    momentum: BelowOne = 0.9
    weight_decay: NonNegative = 0.0001
    schedule: Literal["constant", "step", "multistep", "cosine", "onecycle"] = "cosine"
    warmup_epochs: NonNegative = 0.0
    step_epochs: Count = 30
    milestones: list[Count] = field(default_factory=list)
    gamma: Positive = 0.1
    min_lr: NonNegative = 0.0
    label_smoothing: BelowOne = 0.0
    hard_loss: Literal["plain", "weighted", "logit_adjusted"] = "plain"
    sampler: SamplerName = "natural"
    grad_clip: Positive | None = None
    ema: BelowOne = 0.0
    limit_examples: Count | None = None
    precision: PrecisionName = "auto"
    accumulate: Count | Literal["auto"] = 1
    on_nan: Literal["stop", "skip"] = "stop"
    select: SelectName = "last"

    @property
    def epoch_count(self) -> int:
        """The number of epochs, once it is settled."""
        assert self.epochs != "auto", "resolved() settles it"
        return self.epochs

    def resolved(self, steps: int) -> Hparams:
        """The same with a number of epochs.

        Args:
            steps: Steps of one epoch.
        """
        if self.epochs != "auto":
            return self
        return replace(self, epochs=min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, math.ceil(_USUAL_STEPS / steps))))

    def check(self) -> Iterable[str]:
        """Values that contradict each other."""
        if self.epochs != "auto" and self.warmup_epochs >= self.epochs:
            yield f"warmup_epochs={self.warmup_epochs:g} is not allowed: it must be less than epochs={self.epochs}."
        if self.schedule == "multistep" and not self.milestones:
            yield "milestones=[] is not allowed with schedule=multistep: give epochs, such as [30,40]."
        if self.schedule == "multistep" and self.milestones != sorted(set(self.milestones)):
            yield f"milestones={self.milestones} is not allowed: the epochs must rise."
        if self.schedule == "cosine" and self.min_lr > self.lr:
            yield f"min_lr={self.min_lr:g} is not allowed: it must be at most lr={self.lr:g}."
        if self.sampler == "balanced" and self.hard_loss != "plain":
            yield (
                f"hard_loss={self.hard_loss} is not allowed with sampler=balanced: each makes up for rare classes, and "
                "both would do it twice; give hard_loss=plain or sampler=natural."
            )
        if self.optimizer == "nesterov" and self.momentum == 0:
            yield "momentum=0 is not allowed with optimizer=nesterov: it must be greater than 0."


@dataclass(frozen=True, kw_only=True)
class StoreOptions(Options):
    """Where trained networks are kept.

    Attributes:
        reuse: Take a network that was trained with the very same settings instead of training it again.
        dir: Folder of the store.
    """

    reuse: Flag = True
    dir: str = "outputs/store"


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions(Options):
    """When the state of a training is written.

    Attributes:
        minutes: Longest time between two of them; one is written after an epoch, too.
    """

    minutes: Positive = 10.0


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """The keys of a run that belong to no group."""

    seed: Natural = 0
    device: str = "auto"
    precision: PrecisionName = "auto"
    select: SelectName = "last"
    sampler: SamplerName = "natural"
    compile: Flag = False
    deterministic: Flag = False
    verbosity: Literal["normal", "quiet"] = "normal"
    output: str = "outputs"


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run, checked.

    Attributes:
        teacher: The network that knows more.
        student: The network to be taught; the baseline is the same network taught by labels alone.
        dataset: The data and what is done to it.
        method: What the student learns from.
        teacher_hparams: How the teacher is trained.
        student_hparams: How baseline and student are trained.
        store: Where trained networks are kept.
        checkpoint: When the state of a training is written.
        run: Everything else.
        trackers: Options of each tracker that follows the run.
    """

    teacher: ModelOptions
    student: ModelOptions
    dataset: DatasetOptions
    method: Options
    teacher_hparams: Hparams
    student_hparams: Hparams
    store: StoreOptions
    checkpoint: CheckpointOptions
    run: RunOptions
    trackers: tuple[Options, ...] = ()
