"""Distributions softened by temperature: probabilities and their entropy, at any temperature, of logits of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_EXAMPLES_AT_ONCE = 4096


@dataclass(frozen=True)
class Softened:
    """`softmax(logits / T)`.

    Attributes:
        T: Temperature.
        probabilities: `[..., classes]`, 0..1.
        entropy: `[...]` nats.
    """

    T: float
    probabilities: np.ndarray
    entropy: np.ndarray

    @property
    def share_of_maximum(self) -> np.ndarray:
        """`[...]` entropy / that of the uniform distribution, ln K; 0..1."""
        return self.entropy / np.log(self.probabilities.shape[-1])

    @property
    def effective_classes(self) -> np.ndarray:
        """`[...]` how many equally likely classes would have this entropy: exp(H), 1..K."""
        return np.exp(self.entropy)

    @property
    def off_top(self) -> np.ndarray:
        """`[...]` probability of all classes but the most likely one: what a soft target says beyond a hard one."""
        return 1 - self.probabilities.max(axis=-1)


def log_softened(logits: np.ndarray, T: float) -> np.ndarray:
    """`log softmax(logits / T)`.

    Args:
        logits: `[..., classes]`, finite.
        T: Temperature, > 0.

    Returns:
        `[..., classes]` float64, nats; `-inf` for a probability of 0.
    """
    logits = np.asarray(logits, dtype=np.float64)
    # Subtracting first keeps the largest at 0, however large logits or small T are; the others may well reach -inf.
    with np.errstate(over="ignore"):
        scaled = (logits - logits.max(axis=-1, keepdims=True)) / T
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))


def soften(logits: np.ndarray, T: float) -> Softened:
    """The distribution at temperature `T`.

    Args:
        logits: `[..., classes]`, finite.
        T: Temperature, > 0.
    """
    logarithms = log_softened(logits, T)
    probabilities = np.exp(logarithms)
    surprise = np.where(probabilities > 0, -logarithms, 0.0)  # 0 log 0 = 0
    return Softened(T, probabilities, (probabilities * surprise).sum(axis=-1))


def parts(examples: int) -> Iterator[slice]:
    """Rows to work on at once, since float64 takes twice the memory of the logits themselves."""
    for first in range(0, examples, _EXAMPLES_AT_ONCE):
        yield slice(first, min(first + _EXAMPLES_AT_ONCE, examples))


def divergence(logits: np.ndarray, others: np.ndarray, T: float) -> float:
    """Mean KL divergence of one network's softened answers from another's, KL(first || second), nats.

    Args:
        logits: `[examples, classes]` of the first, such as the teacher.
        others: Likewise, of the second, such as the student.
        T: Temperature, > 0.
    """
    total = 0.0
    for rows in parts(len(logits)):
        first, second = log_softened(logits[rows], T), log_softened(others[rows], T)
        probabilities = np.exp(first)
        held = probabilities > 0
        total += float((probabilities[held] * (first[held] - second[held])).sum())
    return total / len(logits)
