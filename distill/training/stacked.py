"""The training loop for several networks at once, alike in all but numbers and seeds: each learns as if alone."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from distill.data import Batches
from distill.errors import TrainingError
from distill.seeds import seed_torch, stream_seed
from distill.training import checkpoint
from distill.training.checkpoints import Checkpoints
from distill.training.costs import Costs, Spent
from distill.training.finite import Finite
from distill.training.interrupt import Stop
from distill.training.members import Members
from distill.training.schedules import learning_rate
from distill.training.stacked_optimizers import StackedOptimizer
from distill.training.stacked_selection import StackedSelection
from distill.training.stacked_tally import StackedTally
from distill.training.task import EpochRow, Listener, Trained, Training

NAME = "stack"  # what listeners are told instead of a role
_SECONDS_BETWEEN_REPORTS = 0.1


def fit(trainings: Sequence[Training], path: Path, listener: Listener, stop: Stop) -> list[Trained | TrainingError]:
    """Trains all to the end of their epochs, from where a checkpoint left them if there is one.

    Args:
        trainings: What to train; `obstacle` and `differs` of `distill.training.stackable` find nothing against it.
        path: The checkpoint of all.
        listener: Sees the progress, under the role `stack` and as means over the members.
        stop: Whether somebody asked to stop.

    Returns:
        For each what `fit.fit` would have returned, with an equal share of the time, or raised.

    Raises:
        Interrupted: A signal asked to stop; the checkpoint is written.
    """
    return _Loop(trainings, path, listener, stop).run()


class _Loop:
    def __init__(self, trainings: Sequence[Training], path: Path, listener: Listener, stop: Stop):
        self._trainings = trainings
        self._first = trainings[0]
        self._listener = listener
        self._stop = stop
        self._device = self._first.precision.device
        self._members = Members(trainings)
        self._weights = self._members.weights
        self._optimizer = StackedOptimizer(self._weights, [training.hparams for training in trainings])
        decays = [training.hparams.ema for training in trainings]
        self._average = self._weights.clone() if any(decays) else None
        self._keep = torch.tensor(decays, device=self._device)[:, None]
        self._selection = StackedSelection(self._first.hparams.select, self._evaluated)
        self._costs = Costs(self._device)
        self._histories: list[list[EpochRow]] = [[] for _ in trainings]
        self._failures: list[TrainingError | None] = [None] * len(trainings)
        self._epochs = self._first.hparams.epoch_count
        self._rows = self._first.batches.sizes
        self._steps = len(self._rows)  # of an epoch
        self._epoch = 0
        self._step = 0  # of the epoch
        self._tally = StackedTally(len(trainings), self._rows, self._device)
        self._reported = 0.0
        self._checkpoints = Checkpoints(path, self._first.minutes, listener.warn)

    def run(self) -> list[Trained | TrainingError]:
        self._restore()
        while self._epoch < self._epochs and None in self._failures:
            if self._step == 0:
                seed_torch(stream_seed(self._first.seed, "dropout", self._epoch), self._device)
            self._run_epoch()
            self._finish_epoch()
            ends = self._epoch == self._epochs  # kept until the last member is where it belongs
            if ends or self._stop.asked or self._checkpoints.due(epoch_ended=True):
                self._save()
                self._stop.check()
        return [self._result(number) for number in range(len(self._trainings))]

    def _result(self, number: int) -> Trained | TrainingError:
        training, failure = self._trainings[number], self._failures[number]
        if failure is not None:
            return failure
        weights, epoch = self._selection.kept(self._evaluated, number)
        self._members.write(weights, training)
        history = self._histories[number]
        seconds = sum(row["seconds"] for row in history)
        return Trained(training.network.eval(), history, seconds, epoch, self._share)

    @functools.cached_property
    def _share(self) -> Spent:
        """What one member took: of the energy an equal part, and of the memory nobody can say."""
        joules = self._costs.spent().joules
        return Spent(None, None if joules is None else joules / len(self._trainings))

    @property
    def _evaluated(self) -> Tensor:
        return self._weights if self._average is None else self._average

    def _run_epoch(self) -> None:
        self._members.learn()
        for training in self._trainings:
            training.method.start_epoch(self._epoch, self._epochs)
        rates = self._rates()
        streams = zip(*(batches.epoch(self._epoch) for batches in self._members.streams), strict=True)
        began = time.perf_counter()
        for batches in itertools.islice(streams, self._step, None):
            gradients, terms, right = self._members.gradients(self._weights, batches)
            self._optimizer.step(gradients, rates[self._step])
            self._tally.add(self._step, terms, right)
            if self._average is not None:
                self._average.add_((self._weights - self._average).mul_(1 - self._keep))
            self._step += 1
            self._report()
            if self._step < self._steps and self._due():
                self._tally.seconds += time.perf_counter() - began
                self._save()
                self._stop.check()
                began = time.perf_counter()
        self._tally.seconds += time.perf_counter() - began

    def _due(self) -> bool:
        return self._stop.asked or self._checkpoints.due(epoch_ended=False)

    def _rates(self) -> Tensor:
        """`[steps, members, 1]` learning rates of this epoch."""
        different = []
        for training in self._trainings:
            if training.hparams not in different:
                different.append(training.hparams)
        first = self._epoch * self._steps
        columns = [
            [learning_rate(hparams, first + step, self._steps) for step in range(self._steps)] for hparams in different
        ]
        which = [different.index(training.hparams) for training in self._trainings]
        return torch.tensor(columns, device=self._device)[which].t()[:, :, None]

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported < _SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        self._costs.look()
        done = (self._epoch * self._steps + self._step) / (self._epochs * self._steps)
        self._listener.step(NAME, self._epoch + 1, self._epochs, done, self._tally.loss(self._step - 1))

    def _finish_epoch(self) -> None:
        self._note_failures()
        first = self._first
        shared = {
            "epoch": self._epoch + 1,
            "step": (self._epoch + 1) * self._steps,
            "seconds": self._tally.seconds / len(self._trainings),
        }
        last = (self._epoch + 1) * self._steps - 1
        means = self._tally.means(self._members.terms)
        vals, tests = self._accuracies(first.val), self._accuracies(first.test)
        for number, training in enumerate(self._trainings):
            row = {
                "role": training.role,
                **shared,
                "lr": learning_rate(training.hparams, last, self._steps),
                **means[number],
                "val_accuracy": vals[number],
                "test_accuracy": tests[number],
            }
            self._histories[number].append(row)
        self._listener.epoch(self._mean_row(), self._epochs)
        self._epoch += 1
        self._selection.saw(self._epoch, vals, self._evaluated)
        self._step = 0
        self._tally = StackedTally(len(self._trainings), self._rows, self._device)

    def _mean_row(self) -> EpochRow:
        rows = [history[-1] for history, failure in zip(self._histories, self._failures, strict=True) if not failure]
        rows = rows or [history[-1] for history in self._histories]
        keys = ("loss", "train_accuracy", "val_accuracy", "test_accuracy")
        means = {key: sum(row[key] for row in rows) / len(rows) for key in keys if rows[0][key] is not None}
        return {**rows[0], **means, "role": NAME, "seconds": self._tally.seconds}

    def _accuracies(self, batches: Batches | None) -> list[float | None]:
        if batches is None:
            return [None] * len(self._trainings)
        right = torch.zeros(len(self._trainings), dtype=torch.int64, device=self._device)
        for batch in batches.in_order():
            right += self._members.right(self._evaluated, batch)
        return [count / len(batches.split) for count in right.tolist()]

    def _note_failures(self) -> None:
        """Remembers who can learn no more; what it goes on to compute touches nobody else."""
        weights = torch.isfinite(self._weights).all(dim=1).tolist()
        losses = self._tally.first_not_finite()
        for number, training in enumerate(self._trainings):
            if self._failures[number] is None and (losses[number] is not None or not weights[number]):
                self._failures[number] = self._failure(training, number, losses[number])

    def _failure(self, training: Training, number: int, step: int | None) -> TrainingError | None:
        """What the member would have raised alone."""
        last = self._steps - 1 if step is None else step
        finite = Finite(training.role, True, self._steps, training.world)
        for batch in itertools.islice(training.batches.epoch(self._epoch), max(0, last - 1), last + 1):
            finite.saw(batch.index)
        try:
            if step is not None:
                finite.check(self._tally.member(number, step), self._epoch, step, step + 1)
            self._members.write(self._weights[number], training)
            finite.check_weights(training.network.parameters(), self._epoch)
        except TrainingError as error:
            return error
        return None

    def _save(self) -> None:
        state = {
            "weights": self._weights,
            "optimizer": self._optimizer.state(),
            "average": self._average,
            "selection": self._selection.state(),
            "costs": self._costs.state(),
            "histories": json.dumps(self._histories),  # one string: pickling every number takes long
            "failures": json.dumps([failure and [str(failure), failure.facts] for failure in self._failures]),
            "epoch": self._epoch,
            "step": self._step,
            "tally": self._tally.state(),
            "random": checkpoint.random_state(self._device),
        }
        self._checkpoints.write(state, last=self._stop.asked)

    def _restore(self) -> None:
        state = self._checkpoints.read()
        if state is None:
            return
        with checkpoint.restoring(self._checkpoints.path):
            self._weights.copy_(state["weights"])
            self._optimizer.restore(state["optimizer"])
            if self._average is not None:
                self._average.copy_(state["average"])
            self._selection.restore(state["selection"])
            self._costs.restore(state["costs"])
            self._histories = json.loads(state["histories"])
            self._failures = [told and TrainingError(told[0], **told[1]) for told in json.loads(state["failures"])]
            self._epoch, self._step = state["epoch"], state["step"]
            if self._step:
                self._tally.restore(state["tally"])
                checkpoint.restore_random_state(state["random"], self._device)
