"""How good a network is on a split, by its logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.training.calibration import Bin, calibration_error, reliability
from distill.training.in_parts import in_parts


@dataclass(frozen=True)
class Scores:
    """Quality on one split.

    Attributes:
        accuracy: Share of examples whose most likely class is the label, 0..1.
        top5: Share whose label is among the five most likely; `None` with five classes or fewer.
        nll: Mean negative log-likelihood of the label, nats.
        brier: Mean squared distance of the probabilities from the label as a vector of 0 and 1, 0..2 (Brier 1950).
        ece: Expected calibration error over 15 equal-width bins of confidence, 0..1 (Guo et al. 2017).
        predictions: `[examples]` most likely classes, int64, on the CPU.
        errors: Examples classified wrong.
        class_accuracy: The accuracy on the examples of each class, 0..1; `None` for one without examples.
        confusions: `(label, prediction, examples)` of what was classified wrong, the most frequent first.
        reliability: As `calibration.reliability` gives it.
    """

    accuracy: float
    top5: float | None
    nll: float
    brier: float
    ece: float
    predictions: Tensor
    errors: int
    class_accuracy: list[float | None]
    confusions: list[tuple[int, int, int]]
    reliability: list[Bin]


def score(logits: Tensor, labels: Tensor) -> Scores:
    """All measures of quality.

    Args:
        logits: `[examples, classes]`, fp32.
        labels: `[examples]` class numbers.
    """
    logits, labels = logits.cpu(), labels.cpu()  # not every device has the fp64 used below
    told: list[tuple[Tensor, Tensor]] = []
    nll = brier = 0.0
    for part, own in in_parts(logits, labels):
        probabilities = part.double().softmax(dim=1)
        surest, likeliest = probabilities.max(dim=1)
        told.append((surest, likeliest))
        nll += F.cross_entropy(part.double(), own, reduction="sum").item()
        brier += _brier(probabilities, own)
    confidence, predictions = (torch.cat(parts) for parts in zip(*told, strict=True))
    right = predictions == labels
    top5 = None
    if logits.shape[1] > 5:
        top5 = (logits.topk(5, dim=1).indices == labels[:, None]).any(dim=1).double().mean().item()
    bins = reliability(confidence, right)
    return Scores(
        accuracy=right.double().mean().item(),
        top5=top5,
        nll=nll / len(labels),
        brier=brier / len(labels),
        ece=calibration_error(bins),
        predictions=predictions,
        errors=int((~right).sum()),
        class_accuracy=_by_class(right, labels, logits.shape[1]),
        confusions=_confusions(predictions, labels, logits.shape[1]),
        reliability=bins,
    )


def scaled_reliability(logits: Tensor, labels: Tensor, temperature: float) -> list[Bin]:
    """`calibration.reliability` of logits that are divided by a temperature first.

    Args:
        logits: `[examples, classes]`.
        labels: `[examples]` class numbers.
        temperature: > 0.
    """
    logits, labels = logits.cpu(), labels.cpu()
    confidences = []
    for (part,) in in_parts(logits):
        scaled = part.double() / temperature
        confidences.append((scaled.amax(dim=1) - scaled.logsumexp(dim=1)).exp())
    return reliability(torch.cat(confidences), logits.argmax(dim=1) == labels)


def _brier(probabilities: Tensor, labels: Tensor) -> float:
    """The squared distances of all examples, added up."""
    of_label = probabilities.gather(1, labels[:, None])[:, 0]
    return (probabilities.square().sum(dim=1) - 2 * of_label + 1).sum().item()


def _by_class(right: Tensor, labels: Tensor, classes: int) -> list[float | None]:
    counts = torch.bincount(labels, minlength=classes).tolist()
    found = torch.bincount(labels[right], minlength=classes).tolist()
    return [share / count if count else None for share, count in zip(found, counts, strict=True)]


def _confusions(predictions: Tensor, labels: Tensor, classes: int) -> list[tuple[int, int, int]]:
    wrong = predictions != labels
    pairs, counts = torch.unique(labels[wrong] * classes + predictions[wrong], return_counts=True)
    found = [
        (pair // classes, pair % classes, count) for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(found, key=lambda one: -one[2])
