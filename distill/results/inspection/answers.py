"""What two networks said of the test examples: how sure they were, who was right, where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distill.results.inspection.softened import parts, soften


@dataclass(frozen=True)
class Answers:
    """One network's answers to all test examples.

    Attributes:
        role: What the network is for: teacher, baseline, student.
        model: Its name.
        logits: `[examples, classes]`.
    """

    role: str
    model: str
    logits: np.ndarray

    @cached_property
    def predictions(self) -> np.ndarray:
        """`[examples]` most likely class."""
        return self.logits.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """`[examples]` probability of the prediction at T=1, 0..1."""
        return self._plain[0]

    @cached_property
    def entropy(self) -> np.ndarray:
        """`[examples]` of the distribution at T=1, nats."""
        return self._plain[1]

    @cached_property
    def _plain(self) -> tuple[np.ndarray, np.ndarray]:
        # Only these two numbers are kept of each example's probabilities.
        plain = [soften(self.logits[rows], 1.0) for rows in parts(len(self.logits))]
        return np.concatenate([part.probabilities.max(axis=1) for part in plain]), np.concatenate(
            [part.entropy for part in plain]
        )


@dataclass(frozen=True)
class Beside:
    """How the answers of two networks compare.

    Attributes:
        agreement: Share of examples on which both say the same, 0..1.
        both_right: Examples that both get right.
        only_first: Those that only the first one gets right.
        only_second: Those that only the second one gets right.
        same_error: Those on which both make the same mistake.
        other_error: Those that both get wrong, each in its own way.
        disagreements: `[count]` positions where they disagree, those first on which both are sure.
    """

    agreement: float
    both_right: int
    only_first: int
    only_second: int
    same_error: int
    other_error: int
    disagreements: np.ndarray


def compare(first: Answers, second: Answers, labels: np.ndarray) -> Beside:
    """Compares two networks.

    Args:
        first: Such as the teacher.
        second: Such as the student.
        labels: `[examples]` true classes.
    """
    same = first.predictions == second.predictions
    right, other = first.predictions == labels, second.predictions == labels
    apart = np.flatnonzero(~same)
    # The less sure of the two says how serious a disagreement is.
    surety = np.minimum(first.confidence, second.confidence)[apart]
    return Beside(
        agreement=float(same.mean()),
        both_right=int((right & other).sum()),
        only_first=int((right & ~other).sum()),
        only_second=int((~right & other).sum()),
        same_error=int((~right & same).sum()),
        other_error=int((~right & ~other & ~same).sum()),
        disagreements=apart[np.argsort(-surety, kind="stable")],
    )


def most_likely(order: Sequence[int], always: Sequence[int], most: int) -> list[int]:
    """The classes that are shown: the most likely ones, and some whatever their probability.

    Args:
        order: Class numbers, the most likely first; no temperature changes that order.
        always: Class numbers, such as the true one.
        most: How many classes.
    """
    kept = set(list(dict.fromkeys(always))[:most])
    for number in order:
        if len(kept) == most:
            break
        kept.add(number)
    return [number for number in order if number in kept]
