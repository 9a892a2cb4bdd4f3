"""Whether a network's confidence can be believed: reliability by bins, and the temperature that puts it right.

Guo, Pleiss, Sun, Weinberger 2017, https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from distill.training.in_parts import in_parts

_BINS = 15
# Where a temperature is looked for; one at an end would be as far as the search went, and no answer.
_COLDEST, _HOTTEST = 0.01, 100.0
_MOST_STEPS = 100
_EXACT = 1e-9  # of its size

Bin = tuple[int, float, float]


def reliability(confidence: Tensor, right: Tensor) -> list[Bin]:
    """Confidence against accuracy, in 15 equal-width bins of confidence.

    Args:
        confidence: `[examples]` probability of the predicted class, 0..1.
        right: `[examples]` whether the prediction is right.

    Returns:
        For each bin its examples, their mean confidence and their accuracy, 0..1; three zeros for an empty one.
    """
    which = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1
    counts = torch.bincount(which, minlength=_BINS)
    sums = [torch.zeros(_BINS, dtype=torch.float64).index_add_(0, which, of.double()) for of in (confidence, right)]
    means = [(total / counts.clamp(min=1)).tolist() for total in sums]
    return list(zip(counts.tolist(), *means, strict=True))


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error, 0..1: the gap of each bin, weighed by its share of the examples."""
    total = sum(count for count, _, _ in bins)
    return sum(count * abs(confidence - accuracy) for count, confidence, accuracy in bins) / total


def fit_temperature(logits: Tensor, labels: Tensor) -> float | None:
    """The temperature by which to divide logits so that their labels are most likely.

    The mean negative log-likelihood is convex in 1 / temperature, hence Newton's method, kept within bounds that
    close in on the minimum.

    Args:
        logits: `[examples, classes]`, of examples that nobody trained on.
        labels: `[examples]` int64.

    Returns:
        The temperature; `None` where none from 0.01 to 100 is best, as when every example is classified right.
    """
    low, high = 1 / _HOTTEST, 1 / _COLDEST  # of 1 / temperature
    if _slope(logits, labels, low)[0] >= 0 or _slope(logits, labels, high)[0] <= 0:
        return None
    inverse = 1.0
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope(logits, labels, inverse)
        step = slope / curvature if curvature > 0 else math.inf
        if abs(step) <= _EXACT * inverse:
            break
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        inverse = inverse - step if low < inverse - step < high else math.sqrt(low * high)
    return 1 / inverse


def _slope(logits: Tensor, labels: Tensor, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean negative log-likelihood by the inverse of the temperature."""
    slope = curvature = 0.0
    for part, own in in_parts(logits, labels):
        centred = part.double()
        centred = centred - centred.gather(1, own[:, None])
        probabilities = (centred * inverse).softmax(dim=1)
        mean = (probabilities * centred).sum(dim=1)
        slope += mean.sum().item()
        curvature += ((probabilities * centred.square()).sum(dim=1) - mean.square()).sum().item()
    return slope / len(labels), curvature / len(labels)
