"""The training loop: every network of every role goes through it."""

from __future__ import annotations

import copy
import functools
import json
import operator
import signal
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.data.batches import Batches
from distill.data.tasks import within_task
from distill.errors import TrainingError
from distill.seeds import seed_torch, stream_seed
from distill.training import checkpoint, evaluate
from distill.training.checkpoints import Checkpoints
from distill.training.costs import Costs
from distill.training.descent import Descent
from distill.training.device import out_of_memory, synchronize
from distill.training.finite import Finite
from distill.training.interrupt import Stop
from distill.training.reached import named
from distill.training.schedules import learning_rate
from distill.training.selection import Selection
from distill.training.tally import Tally
from distill.training.task import EpochRow, Listener, Trained, Training
from distill.training.teacher_outputs import nobody
from distill.types import Batch

# How often losses are looked at and told: a device is waited for then.
_SECONDS_BETWEEN_LOOKS = {"cpu": 0.1, "cuda": 0.5, "mps": 0.5}
# Processes that train together look at the same steps, which no clock can promise.
_STEPS_BETWEEN_LOOKS = 10
# What processes agree on between two steps; the most urgent one wins.
_GO, _SAVE, _STOP = range(3)


def fit(training: Training, path: Path, listener: Listener, stop: Stop) -> Trained:
    """Trains a network to the end of its epochs, from where a checkpoint left it if there is one.

    Args:
        training: What to train, on what, how.
        path: The checkpoint, written after an epoch, at most once a second, every `minutes`, and when a signal
            asks to stop.
        listener: Sees the progress.
        stop: Whether somebody asked to stop.

    Raises:
        TrainingError: The loss is NaN or infinite.
        RuntimeError: Memory ran out (`device.out_of_memory`), and `hparams.accumulate` allows no smaller parts.
        Interrupted: A signal asked to stop; the checkpoint is written.
    """
    asked = training.hparams.accumulate
    if asked != "auto":
        return _Loop(training, path, listener, stop, asked).run()
    modules = (training.network, training.method)
    learns = [(parameter, parameter.requires_grad) for module in modules for parameter in module.parameters()]
    fresh = [{name: value.cpu().clone() for name, value in module.state_dict().items()} for module in modules]
    parts = 1
    while True:
        try:
            return _Loop(training, path, listener, stop, parts).run()
        except RuntimeError as error:
            # Other processes would not know, and wait for gradients of the old parts.
            if not out_of_memory(error) or parts >= training.batches.batch_size or training.world.size > 1:
                raise
        parts *= 2
        listener.warn(f"A batch of the {training.role} goes through the network in {parts} parts, as memory ran out.")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        # Begun anew, so that the weights are those of a training that had known from the start.
        for module, state in zip(modules, fresh, strict=True):
            module.load_state_dict(state)
        for parameter, on in learns:  # a method may have let some of them rest
            parameter.requires_grad_(on)


class _Loop:
    def __init__(self, training: Training, path: Path, listener: Listener, stop: Stop, parts: int):
        self._training = training
        self._checkpoints = Checkpoints(path, training.minutes, listener.warn)
        self._listener = listener
        self._stop = stop
        self._parts = parts  # of a batch, that go through the network one after the other
        self._device = training.precision.device
        network, method = training.network, training.method
        self._descent = Descent(
            network.parameters(),
            training.hparams,
            training.precision,
            training.world,
            adapters=method.parameters(),
            lr_scale=method.lr_scale,
        )
        self._average = copy.deepcopy(training.network) if training.hparams.ema else None
        self._selection = Selection(training.hparams.select, (self._evaluated, training.method))
        self._costs = Costs(self._device, training.world)
        self._history: list[EpochRow] = []
        self._epoch = 0
        self._step = 0  # of the epoch
        self._rows = training.batches.sizes
        self._steps = len(self._rows)  # of an epoch
        self._tally = self._new_tally()
        self._finite = Finite(training.role, training.hparams.on_nan == "stop", self._steps, training.world)
        self._looked = 0  # step of the epoch
        self._looked_at = float("-inf")  # seconds

    def run(self) -> Trained:
        self._restore()
        while self._epoch < self._training.hparams.epoch_count:
            if self._step == 0:
                seed_torch(self._dropout_seed(), self._device)
            self._run_epoch()
            self._finish_epoch()
            self._heed(self._checkpoints.due(epoch_ended=True))
        self._selection.settle()
        seconds = sum(row["seconds"] for row in self._history)
        network = self._evaluated.eval()
        return Trained(network, self._history, seconds, self._selection.epoch, self._costs.spent())

    @property
    def _evaluated(self) -> nn.Module:
        return self._training.network if self._average is None else self._average

    def _dropout_seed(self) -> int:
        rank = self._training.world.rank
        return stream_seed(self._training.seed, "dropout", self._epoch, *([rank] if rank else []))

    def _run_epoch(self) -> None:
        training, batches = self._training, self._training.batches
        training.network.train()
        training.method.train()
        training.method.start_epoch(self._epoch, training.hparams.epoch_count)
        self._looked = self._step
        began = time.perf_counter()
        for batch in batches.epoch(self._epoch, start=self._step):
            try:
                self._train_on(batch)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise TrainingError(
                    f"The {training.role} has batch norm, which learns nothing from one example at a time: a larger "
                    "hparams.batch_size or a smaller hparams.accumulate works."
                ) from error
            self._finite.saw(batch.index)
            self._step += 1
            looks = self._step == self._steps or self._looks()
            if looks:
                self._look()
            self._tally.seconds += time.perf_counter() - began
            if self._step < self._steps and (looks or (self._stop.asked and training.world.size == 1)):
                self._heed(self._checkpoints.due(epoch_ended=False))
            began = time.perf_counter()
        synchronize(self._device)
        self._tally.seconds += time.perf_counter() - began

    def _looks(self) -> bool:
        """Whether it is time to look at losses; all processes do so after the same step."""
        if self._training.world.size > 1:
            return self._step % _STEPS_BETWEEN_LOOKS == 0
        return time.monotonic() - self._looked_at > _SECONDS_BETWEEN_LOOKS[self._device.type]

    def _look(self) -> None:
        self._finite.check(self._tally, self._epoch, self._looked, self._step)
        self._looked = self._step
        now = time.monotonic()
        # An epoch's end is a look as well, and epochs may be short.
        if now - self._looked_at < _SECONDS_BETWEEN_LOOKS[self._device.type]:
            return
        self._looked_at = now
        self._costs.look()
        epochs, steps = self._training.hparams.epoch_count, self._steps
        done = (self._epoch * steps + self._step) / (epochs * steps)
        loss = self._tally.loss(self._step - 1).item()
        self._listener.step(self._training.role, self._epoch + 1, epochs, done, loss)

    def _train_on(self, batch: Batch) -> None:
        training, rows = self._training, self._rows[self._step]
        step = self._epoch * self._steps + self._step
        self._descent.begin(learning_rate(training.hparams, step, self._steps))
        # What a step that is skipped must leave as it was, too.
        statistics = [buffer for buffer in self._buffers() if buffer.is_floating_point()] if self._descent.skips else []
        before = [buffer.clone() for buffer in statistics]
        # As many parts in every process, as a method may wait for the others in each of them.
        parts = min(self._parts, rows // training.world.size // 2)
        for part in batch.split(parts) if parts > 1 else (batch,):
            part = training.method.prepare(part)
            taught = (training.teacher if training.method.reads_teacher else nobody)(part)
            with training.precision.autocast():
                answered = training.student.see(part)
            losses = training.method(answered.float(), taught.float(), part)
            if not losses:
                raise TrainingError(
                    f"The {training.role} has nothing to learn from in epoch {self._epoch + 1}: of "
                    f"method={training.method.options.name} no term weighs anything; method.hard_weight=1 would."
                )
            loss = functools.reduce(operator.add, losses.values())
            self._descent.add(loss if len(part) == rows else loss * (len(part) / rows))
            logits = within_task(answered.logits, part.labels, training.tasks) if training.tasks else answered.logits
            self._tally.add(self._step, losses, logits, part.labels, training.method.observed())
        skipped = self._descent.finish()
        if skipped is not None:
            self._tally.skip(skipped)
            for buffer, old in zip(statistics, before, strict=True):
                torch.where(skipped > 0, old, buffer, out=buffer)
        training.method.after_step(training.network)
        if self._average is not None:
            _move_average(self._average, training.network, training.hparams.ema)

    def _heed(self, due: bool) -> None:
        """Does between two steps what one of the processes must do, at the same step in all of them."""
        due = due and self._training.world.leads  # whose clock counts, as it alone writes
        wanted = _STOP if self._stop.asked else _SAVE if due else _GO
        agreed = self._training.world.largest(wanted)
        if agreed == _GO:
            return
        self._save(last=agreed == _STOP)
        if agreed == _STOP:
            self._stop.number = self._stop.number or signal.SIGTERM
            self._stop.check()

    def _finish_epoch(self) -> None:
        training = self._training
        self._share_statistics()
        self._finite.check_weights(
            [*training.network.state_dict().values(), *training.method.parameters()], self._epoch
        )
        means = self._tally.means(training.world)
        if self._descent.stuck:
            self._finite.check_skipped(int(means.get("skipped", 0)), self._epoch)
        row: EpochRow = {
            "role": training.role,
            "epoch": self._epoch + 1,
            "step": (self._epoch + 1) * self._steps,
            "seconds": self._tally.seconds,
            "lr": self._descent.rate,
            **means,
            **(val := self._reached("val", training.val)),
            **self._reached("test", training.test),
        }
        self._history.append(row)
        self._listener.epoch(row, training.hparams.epoch_count)
        self._epoch += 1
        self._selection.saw(self._epoch, next(iter(val.values())))  # accuracy, or R2
        self._step = 0
        self._tally = self._new_tally()

    def _new_tally(self) -> Tally:
        return Tally(self._rows, self._device, self._training.batches.split.labels, self._training.targets)

    def _reached(self, name: str, batches: Batches | None) -> dict[str, float | None]:
        """How good the network is on a split, by columns that begin with its name."""
        world, precision, targets = self._training.world, self._training.precision, self._training.targets
        if batches is None:
            return dict.fromkeys([f"{name}_r2", f"{name}_rmse"] if targets else [f"{name}_accuracy"])
        outputs = 0 if targets is None else len(targets.names)
        total = evaluate.total(
            self._evaluated, batches.in_order(shard=world.shard), precision, outputs, self._training.tasks
        )
        world.add_up([total])
        return {f"{name}_{kind}": value for kind, value in named(total, batches.split.labels, targets).items()}

    def _share_statistics(self) -> None:
        """Gives all processes the mean of what batch norm gathered in each."""
        world = self._training.world
        if world.size == 1:
            return
        shared = [buffer for buffer in self._buffers() if buffer.is_floating_point()]
        world.add_up(shared)
        for buffer in shared:
            buffer /= world.size
        if self._average is not None:
            _copy_buffers(self._training.network, self._average)

    def _buffers(self) -> list[Tensor]:
        """Such as the statistics of batch norm; processes have each their own until an epoch ends."""
        return [*self._training.network.buffers(), *self._training.method.buffers()]

    def _save(self, last: bool) -> None:
        training = self._training
        # What differs between processes; `network` holds the first one's.
        own = {
            "buffers": self._buffers(),
            "tally": self._tally.state(),
            "random": checkpoint.random_state(self._device),
        }
        ranks, costs = training.world.gather(own), self._costs.state()
        if not training.world.leads:
            return
        self._checkpoints.write(
            {
                "network": training.network.state_dict(),
                "method": training.method.state_dict(),
                **self._descent.state(),
                "average": self._average.state_dict() if self._average is not None else None,
                "selection": self._selection.state(),
                "costs": costs,
                "history": json.dumps(self._history),  # one string: pickling every number takes long
                "epoch": self._epoch,
                "step": self._step,
                "parts": self._parts,
                "ranks": ranks,
            },
            last,
        )

    def _restore(self) -> None:
        training = self._training
        state = training.world.together(self._checkpoints.read)
        if state is None:
            return
        with checkpoint.restoring(self._checkpoints.path):
            if state["step"] and len(state["ranks"]) != training.world.size:
                raise TrainingError(
                    f"The {training.role} was stopped in the middle of an epoch by {len(state['ranks'])} processes: "
                    f"continue with as many (torchrun --nproc-per-node={len(state['ranks'])}), or remove "
                    f"{self._checkpoints.path.parent}."
                )
            training.network.load_state_dict(state["network"])
            training.method.load_state_dict(state["method"])
            self._descent.restore(state)
            if self._average is not None:
                self._average.load_state_dict(state["average"])
            self._selection.restore(state["selection"])
            self._costs.restore(state["costs"])
            self._history = json.loads(state["history"])
            self._listener.resumed(self._history)
            self._epoch, self._step = state["epoch"], state["step"]
            self._parts = max(self._parts, state["parts"])
            if self._step:
                own = state["ranks"][training.world.rank]
                self._tally.restore(own["tally"])
                checkpoint.restore_random_state(own["random"], self._device)
                for buffer, kept in zip(self._buffers(), own["buffers"], strict=True):
                    buffer.copy_(kept)


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves averaged parameters towards the network's; buffers such as batch statistics are copied."""
    torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
        list(average.parameters()), list(network.parameters()), 1 - decay
    )
    _copy_buffers(network, average)


def _copy_buffers(network: nn.Module, average: nn.Module) -> None:
    for kept, new in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(new)
