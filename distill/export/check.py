"""Whether an exported file answers as the network it was made of, and how fast it does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from distill.data import Dataset
from distill.data.batches import Batches
from distill.data.normalization import Normalization
from distill.data.split import Split
from distill.data.tasks import within_task
from distill.errors import DistillError
from distill.experiments.saved import Saved
from distill.export.content import Predict
from distill.export.preprocessing import raw_noise
from distill.models.trial import first_line
from distill.types import Batch

EXAMPLES_AT_ONCE = 256
BATCH = 64  # of which the latency is measured, beside that of one
_RAW = Normalization(torch.zeros(1), torch.ones(1))
_WARM_UP, _FEWEST, _MOST = 3, 5, 50
_SECONDS = 0.5  # of measuring per network and batch size


@dataclass(frozen=True)
class Examples:
    """What files are checked on: the test examples of a run, or noise where its data are gone.

    Attributes:
        data: Of the run; `None` where they are gone.
        noise: `[examples, ...]` float32 raw inputs to take instead.
        gone: Why the data cannot be had, a sentence.
    """

    data: Dataset | None
    noise: Tensor | None = None
    gone: str | None = None

    @property
    def what(self) -> str:
        """What they are, for people."""
        return "random inputs" if self.data is None else "test examples"

    def parts(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Raw inputs `[batch, ...]` float32, with their labels where there are some."""
        if self.data is not None:
            for batch in _batches(self.data, self.data.test):
                yield batch.inputs, batch.labels
        elif self.noise is not None:
            yield self.noise, None

    @cached_property
    def some(self) -> Tensor:
        """`[64, ...]` raw inputs to measure the speed with; few examples come several times."""
        inputs = next(self.parts())[0]
        return inputs[torch.arange(BATCH) % len(inputs)]

    def to_calibrate(self, most: int) -> Tensor:
        """Raw inputs `[examples, ...]` float32 that the student learned from, evenly spread, at most so many.

        Raises:
            DistillError: The data are gone.
        """
        if self.data is None:
            raise DistillError(
                f"--quantize int8 sets the scales of this network on training examples, which are gone: {self.gone}"
            )
        learned = self.data.transfer
        count = min(most, len(learned))
        chosen = learned.take(torch.arange(count) * len(learned) // count)
        return torch.cat([batch.inputs for batch in _batches(self.data, chosen)])


def examples(run: Saved) -> Examples:
    """The test examples of a run, else noise."""
    try:
        return Examples(run.data())
    except DistillError as error:
        noise = raw_noise(run.input_shape, run.maximum, run.normalization, EXAMPLES_AT_ONCE)
        return Examples(None, noise, " ".join(str(error).split("\n")))


def _batches(data: Dataset, split: Split) -> Iterator[Batch]:
    return Batches(split, EXAMPLES_AT_ONCE, _RAW, data.augment, seed=0).in_order()


@dataclass(frozen=True)
class Answers:
    """What a network said to all examples.

    Attributes:
        logits: `[examples, classes]`.
        right: How many it classified right; `None` without labels, and in a regression.
    """

    logits: Tensor
    right: int | None

    @property
    def accuracy(self) -> float | None:
        """Share classified right, 0..1."""
        return None if self.right is None else self.right / len(self.logits)


def answers(predict: Predict, examples: Examples) -> Answers:
    """Asks a network.

    Args:
        predict: From raw inputs to logits.
        examples: In batches of 256, and a last one that may be smaller.
    """
    logits, right = [], None
    for inputs, labels in examples.parts():
        logits.append(predict(inputs).float())
        if labels is not None and not labels.is_floating_point():
            told = examples.data.tasks if examples.data is not None else ()
            said = within_task(logits[-1], labels, told) if told else logits[-1]
            right = (right or 0) + int((said.argmax(dim=1) == labels).sum())
    return Answers(torch.cat(logits), right)


@dataclass(frozen=True)
class Compared:
    """A file against the network it was made of.

    Attributes:
        answers: Of the file.
        difference: The largest of all absolute differences between logits.
        changed: Examples whose most likely class is another.
    """

    answers: Answers
    difference: float
    changed: int


def compare(predict: Predict, examples: Examples, original: Answers, name: str, tolerance: float | None) -> Compared:
    """Holds a file against its network: batches of 256 and of one, all examples.

    Args:
        predict: The file, from raw inputs to logits.
        examples: As `original` was asked.
        original: Of the network.
        name: Of the file, for messages.
        tolerance: How far logits may differ; `None` for any finite distance.

    Raises:
        DistillError: They differ by more, or the file depends on the size of the batch.
    """
    try:
        found, one = answers(predict, examples), predict(examples.some[:1])
    except Exception as error:  # Runtimes have no error in common.
        raise DistillError(
            f"{name} is not written: made with a batch of two, it cannot be run on others ({first_line(error)}); where "
            "the network's code says len(inputs), inputs.shape[0] may help."
        ) from error
    if one.shape != (1, *original.logits.shape[1:]) or found.logits.shape != original.logits.shape:
        raise DistillError(
            f"{name} is not written: one example has {_shape(one)} logits in it and {len(original.logits)} have "
            f"{_shape(found.logits)}, so that it depends on the size of the batch."
        )
    distances = torch.cat([(found.logits - original.logits).abs().flatten(), (one - original.logits[:1]).abs()[0]])
    difference = distances.max().item()  # NaN where any of them is
    if not difference < float("inf"):
        raise DistillError(
            f"{name} is not written: some of its logits for {len(found.logits)} {examples.what} are not finite."
        )
    if tolerance is not None and difference > tolerance:
        raise DistillError(
            f"{name} is not written: on {len(found.logits)} {examples.what} its logits differ from the network's by "
            f"up to {difference:.2g}, more than --tolerance {tolerance:g}."
        )
    changed = int((found.logits.argmax(dim=1) != original.logits.argmax(dim=1)).sum())
    return Compared(found, difference, changed)


def latencies(networks: Mapping[str, Predict], inputs: Tensor) -> dict[str, tuple[float, float]]:
    """Median time from raw inputs to logits on the CPU, milliseconds, by name: for one example, and for 64.

    The networks take turns, so that what slows the machine for a while slows all of them.

    Args:
        networks: From raw inputs to logits.
        inputs: `[64, ...]` raw inputs.
    """
    one, many = (_medians(networks, part) for part in (inputs[:1], inputs))
    return {name: (one[name], many[name]) for name in networks}


def _medians(networks: Mapping[str, Predict], inputs: Tensor) -> dict[str, float]:
    measured: dict[str, list[float]] = {name: [] for name in networks}
    began = time.perf_counter()
    for turn in range(_WARM_UP + _MOST):
        if turn >= _WARM_UP + _FEWEST and time.perf_counter() - began > _SECONDS * len(networks):
            break
        for name, predict in networks.items():
            start = time.perf_counter()
            predict(inputs)
            measured[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[_WARM_UP:]) * 1e3 for name, seconds in measured.items()}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
