"""How good a network is on a split, and how fast on a device."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.training.device import synchronize
from distill.training.precision import Precision
from distill.types import Batch

_BINS = 15
_SECONDS_PER_LATENCY = 0.5
_MOST_REPEATS = 50


@dataclass(frozen=True)
class Scores:
    """Quality on one split.

    Attributes:
        accuracy: Share of examples whose most likely class is the label, 0..1.
        top5: Share whose label is among the five most likely; `None` with five classes or fewer.
        nll: Mean negative log-likelihood of the label, nats.
        ece: Expected calibration error over 15 equal-width bins of confidence, 0..1 (Guo et al. 2017).
        predictions: `[examples]` most likely classes, int64, on the CPU.
        errors: Examples classified wrong.
        class_accuracy: The accuracy on the examples of each class, 0..1; `None` for one without examples.
    """

    accuracy: float
    top5: float | None
    nll: float
    ece: float
    predictions: Tensor
    errors: int
    class_accuracy: list[float | None]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient; the mode that was set before comes back."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def logits(network: nn.Module, batches: Iterable[Batch], precision: Precision) -> tuple[Tensor, Tensor]:
    """The network's answers in evaluation mode.

    Returns:
        Logits `[examples, classes]` in fp32 and labels `[examples]`, on the network's device.
    """
    answers, labels = [], []
    with evaluating(network):
        for batch in batches:
            with precision.autocast():
                answers.append(network(batch.inputs).float())
            labels.append(batch.labels)
    return torch.cat(answers), torch.cat(labels)


def right(network: nn.Module, batches: Iterable[Batch], precision: Precision) -> Tensor:
    """The number of examples whose most likely class is the label, an int64 scalar on the network's device."""
    total = torch.zeros((), dtype=torch.int64, device=precision.device)
    with evaluating(network):
        for batch in batches:
            with precision.autocast():
                answers = network(batch.inputs)
            total += (answers.argmax(dim=1) == batch.labels).sum()
    return total


def score(answers: Tensor, labels: Tensor) -> Scores:
    """All measures of quality.

    Args:
        answers: Logits `[examples, classes]`, fp32.
        labels: `[examples]` class numbers.
    """
    answers, labels = answers.cpu(), labels.cpu()  # not every device has the fp64 used below
    probabilities = answers.double().softmax(dim=1)
    confidence, predictions = probabilities.max(dim=1)
    right = predictions == labels
    top5 = None
    if answers.shape[1] > 5:
        top5 = (answers.topk(5, dim=1).indices == labels[:, None]).any(dim=1).double().mean().item()
    return Scores(
        accuracy=right.double().mean().item(),
        top5=top5,
        nll=F.cross_entropy(answers.double(), labels).item(),
        ece=calibration_error(confidence, right),
        predictions=predictions,
        errors=int((~right).sum()),
        class_accuracy=_by_class(right, labels, answers.shape[1]),
    )


def _by_class(right: Tensor, labels: Tensor, classes: int) -> list[float | None]:
    counts = torch.bincount(labels, minlength=classes).tolist()
    found = torch.bincount(labels[right], minlength=classes).tolist()
    return [share / count if count else None for share, count in zip(found, counts, strict=True)]


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Expected calibration error, 15 equal-width bins, each weighed by its share of examples.

    Args:
        confidence: `[examples]` probability of the predicted class, 0..1.
        right: `[examples]` whether the prediction is right.
    """
    bins = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1
    gap = torch.zeros(_BINS, dtype=torch.float64, device=confidence.device)
    gap.index_add_(0, bins, confidence.double() - right.double())
    return gap.abs().sum().item() / len(confidence)


def latency(network: nn.Module, inputs: Tensor, precision: Precision) -> float:
    """Median time of one forward pass, milliseconds, after a warm-up and synchronised with the device.

    Args:
        network: On the device of `inputs`.
        inputs: `[batch, ...]`.
        precision: Of the forward pass.
    """
    times: list[float] = []
    with evaluating(network), precision.autocast():
        for _ in range(3):
            network(inputs)
        began = time.perf_counter()
        while len(times) < 5 or (len(times) < _MOST_REPEATS and time.perf_counter() - began < _SECONDS_PER_LATENCY):
            synchronize(inputs.device)
            start = time.perf_counter()
            network(inputs)
            synchronize(inputs.device)
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] * 1e3
