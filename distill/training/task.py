"""One training: what is trained, on what, how, who watches, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from distill.config.schema import Hparams
from distill.data.batches import Batches
from distill.data.targets import Targets
from distill.data.tasks import Tasks
from distill.methods import Method
from distill.models.taps import Tapped
from distill.training.costs import Spent
from distill.training.precision import Precision
from distill.training.teacher_outputs import TeacherOutputs
from distill.training.world import ALONE, World

EpochRow = dict[str, Any]


@dataclass(frozen=True)
class Training:
    """All that is needed to train one network.

    Attributes:
        role: `teacher`, `baseline`, `student`, for messages and rows.
        network: On the device, with its initial weights.
        method: What it learns from, with adapters built and on the device.
        student: The network with the taps that the method reads.
        teacher: What it is taught by; `teacher_outputs.nobody` when it learns from labels alone.
        batches: Training examples.
        val: Validation examples, if any are held out.
        test: Test examples, looked at for curves and never for a choice; `None` where there is nothing to be seen.
        hparams: How to train.
        seed: Of dropout.
        precision: Of the forward pass.
        minutes: Longest time between two checkpoints.
        world: The processes that train it together.
        tasks: Class numbers of the tasks that came so far, where the data set has tasks.
        targets: What a regression is about; `None` where labels are class numbers.
    """

    role: str
    network: nn.Module
    method: Method
    student: Tapped
    teacher: TeacherOutputs
    batches: Batches
    val: Batches | None
    test: Batches | None
    hparams: Hparams
    seed: int
    precision: Precision
    minutes: float = 10.0
    world: World = ALONE
    targets: Targets | None = None
    tasks: Tasks = ()


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        network: In evaluation mode, with the weights to keep.
        history: One row per epoch: losses by name, accuracies (or R2 and RMSE), learning rate, seconds.
        seconds: Time spent on steps, over all sittings; evaluation is not counted.
        epoch: Whose weights these are, from 1; 0 for a network that was not trained.
        spent: Memory and energy, over all sittings.
    """

    network: nn.Module
    history: list[EpochRow]
    seconds: float
    epoch: int = 0
    spent: Spent = field(default_factory=Spent)


class Listener(Protocol):
    """Somebody who wants to see how training goes."""

    def step(self, role: str, epoch: int, epochs: int, progress: float, loss: float) -> None:
        """Called a few times a second; `progress` is the share of all steps that is done, 0..1."""

    def epoch(self, row: EpochRow, epochs: int) -> None:
        """Called after each epoch."""

    def resumed(self, rows: list[EpochRow]) -> None:
        """Called when training goes on from a checkpoint, with the epochs that lie behind it."""

    def warn(self, text: str) -> None:
        """Called when something is not as it should be, and training goes on."""
