"""The training loop: every network of every role goes through it."""

from __future__ import annotations

import copy
import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from distill.config.schema import Hparams
from distill.data.batches import Batches
from distill.errors import TrainingError
from distill.methods import Method
from distill.models.taps import Tapped
from distill.seeds import stream_seed
from distill.training import checkpoint, evaluate, optimizers
from distill.training.interrupt import Stop
from distill.training.precision import Precision
from distill.training.schedules import learning_rate
from distill.training.tally import Tally
from distill.training.teacher_outputs import TeacherOutputs
from distill.types import Batch

_SECONDS_BETWEEN_REPORTS = 0.1
# An epoch shorter than this is cheaper to repeat than to save.
_SECONDS_BETWEEN_CHECKPOINTS = 1.0
_SHARE_OF_TIME_FOR_CHECKPOINTS = 0.05
# How often a loss is looked at: on a CPU that is free, elsewhere it makes the device wait.
_STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 50, "mps": 50}

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
        test: Test examples, looked at for curves and never for a choice.
        hparams: How to train.
        seed: Of dropout.
        precision: Of the forward pass.
    """

    role: str
    network: nn.Module
    method: Method
    student: Tapped
    teacher: TeacherOutputs
    batches: Batches
    val: Batches | None
    test: Batches
    hparams: Hparams
    seed: int
    precision: Precision


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        network: In evaluation mode, with the weights to keep.
        history: One row per epoch: losses by name, accuracies 0..1, learning rate, seconds.
        seconds: Time spent on steps, over all sittings; evaluation is not counted.
    """

    network: nn.Module
    history: list[EpochRow]
    seconds: float


class Listener(Protocol):
    """Somebody who wants to see how training goes."""

    def step(self, role: str, epoch: int, epochs: int, progress: float, loss: float) -> None:
        """Called a few times a second; `progress` is the share of all steps that is done, 0..1."""

    def epoch(self, row: EpochRow, epochs: int) -> None:
        """Called after each epoch."""


def fit(training: Training, path: Path, listener: Listener, stop: Stop) -> Trained:
    """Trains a network to the end of its epochs, from where a checkpoint left it if there is one.

    Args:
        training: What to train, on what, how.
        path: The checkpoint, written after an epoch, at most once a second, and when a signal asks to stop.
        listener: Sees the progress.
        stop: Whether somebody asked to stop.

    Raises:
        TrainingError: The loss is NaN or infinite.
        Interrupted: A signal asked to stop; the checkpoint is written.
    """
    return _Loop(training, path, listener, stop).run()


class _Loop:
    def __init__(self, training: Training, path: Path, listener: Listener, stop: Stop):
        self._training = training
        self._path = path
        self._listener = listener
        self._stop = stop
        self._device = training.precision.device
        self._parameters = [*training.network.parameters(), *training.method.parameters()]
        self._optimizer = optimizers.build(self._parameters, training.hparams)
        self._scaler = training.precision.scaler()
        self._average = copy.deepcopy(training.network) if training.hparams.ema else None
        self._history: list[EpochRow] = []
        self._epoch = 0
        self._step = 0  # of the epoch
        self._steps = len(training.batches)  # of an epoch
        self._tally = Tally(self._steps, self._device)
        self._reported = 0.0
        self._saved = time.monotonic()
        self._pause = _SECONDS_BETWEEN_CHECKPOINTS

    def run(self) -> Trained:
        resumed = self._restore()
        while self._epoch < self._training.hparams.epoch_count:
            if not resumed:
                torch.manual_seed(stream_seed(self._training.seed, "dropout", self._epoch))
            resumed = False
            self._run_epoch()
            self._finish_epoch()
            if self._stop.asked or time.monotonic() - self._saved > self._pause:
                self._save()
                self._stop.check()
        seconds = sum(row["seconds"] for row in self._history)
        return Trained(self._evaluated.eval(), self._history, seconds)

    @property
    def _evaluated(self) -> nn.Module:
        return self._training.network if self._average is None else self._average

    def _run_epoch(self) -> None:
        training, batches = self._training, self._training.batches
        training.network.train()
        training.method.train()
        training.method.start_epoch(self._epoch, training.hparams.epoch_count)
        look = _STEPS_BETWEEN_LOOKS[self._device.type]
        began = time.perf_counter()
        for batch in itertools.islice(batches.epoch(self._epoch), self._step, None):
            try:
                self._train_on(batch)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise TrainingError(
                    f"The {training.role} has batch norm, which learns nothing from a batch of {len(batch.labels)} "
                    "of this size: a larger hparams.batch_size works."
                ) from error
            self._step += 1
            if self._step % look == 0 or self._step == self._steps:
                self._check_finite(look)
                self._report()
            if self._stop.asked and self._step < self._steps:
                self._tally.seconds += time.perf_counter() - began
                self._save()
                self._stop.check()
        self._tally.seconds += time.perf_counter() - began

    def _train_on(self, batch: Batch) -> None:
        training = self._training
        rate = learning_rate(training.hparams, self._epoch * self._steps + self._step, self._steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        taught = training.teacher(batch)
        with training.precision.autocast():
            answered = training.student(batch.inputs)
        losses = training.method(answered.float(), taught.float(), batch)
        loss = torch.stack(list(losses.values())).sum()
        self._optimizer.zero_grad(set_to_none=True)
        self._descend(loss)
        self._tally.add(self._step, loss, losses, answered.logits, batch.labels)
        if self._average is not None:
            _move_average(self._average, training.network, training.hparams.ema)

    def _descend(self, loss: Tensor) -> None:
        scaler, clip = self._scaler, self._training.hparams.grad_clip
        (scaler.scale(loss) if scaler else loss).backward()
        if clip is not None:
            if scaler:
                scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._parameters, clip)
        if scaler:
            scaler.step(self._optimizer)
            scaler.update()
        else:
            self._optimizer.step()

    def _check_finite(self, look: int) -> None:
        first = max(0, self._step - look)
        bad = (~torch.isfinite(self._tally.trace[first : self._step])).nonzero()
        if len(bad):
            step = first + int(bad[0])
            loss = self._tally.trace[step].item()
            raise TrainingError(
                f"The loss of the {self._training.role} is {loss} at epoch {self._epoch + 1}, step {step + 1} "
                f"of {self._steps}: a lower hparams.lr, hparams.grad_clip=1 or precision=fp32 "
                "may help."
            )

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported < _SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        epochs, steps = self._training.hparams.epoch_count, self._steps
        self._listener.step(
            self._training.role,
            self._epoch + 1,
            epochs,
            (self._epoch * steps + self._step) / (epochs * steps),
            self._tally.trace[self._step - 1].item(),
        )

    def _finish_epoch(self) -> None:
        training = self._training
        row: EpochRow = {
            "role": training.role,
            "epoch": self._epoch + 1,
            "step": (self._epoch + 1) * self._steps,
            "seconds": self._tally.seconds,
            "lr": self._optimizer.param_groups[0]["lr"],
            **self._tally.means(),
            "val_accuracy": self._accuracy(training.val),
            "test_accuracy": self._accuracy(training.test),
        }
        self._history.append(row)
        self._listener.epoch(row, training.hparams.epoch_count)
        self._epoch += 1
        self._step = 0
        self._tally = Tally(self._steps, self._device)

    def _accuracy(self, batches: Batches | None) -> float | None:
        if batches is None:
            return None
        return evaluate.accuracy(self._evaluated, batches.in_order(), self._training.precision)

    def _save(self) -> None:
        training = self._training
        began = time.monotonic()
        checkpoint.save(
            self._path,
            {
                "network": training.network.state_dict(),
                "method": training.method.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict() if self._scaler else None,
                "average": self._average.state_dict() if self._average is not None else None,
                "history": json.dumps(self._history),  # one string: pickling every number takes long
                "epoch": self._epoch,
                "step": self._step,
                "tally": self._tally.state(),
                "random": checkpoint.random_state(self._device),
            },
        )
        self._saved = time.monotonic()
        self._pause = max(_SECONDS_BETWEEN_CHECKPOINTS, (self._saved - began) / _SHARE_OF_TIME_FOR_CHECKPOINTS)

    def _restore(self) -> bool:
        """Continues from the checkpoint; true when that is in the middle of an epoch."""
        state = checkpoint.load(self._path)
        if state is None:
            return False
        self._training.network.load_state_dict(state["network"])
        self._training.method.load_state_dict(state["method"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scaler:
            self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._history = json.loads(state["history"])
        self._epoch, self._step = state["epoch"], state["step"]
        self._tally.restore(state["tally"])
        checkpoint.restore_random_state(state["random"], self._device)
        return self._step > 0


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves averaged parameters towards the network's; buffers such as batch statistics are copied."""
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for kept, new in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(new)
