"""Which examples tell most about a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distill.results.inspection.answers import Answers, Beside


@dataclass(frozen=True)
class Example:
    """One test example.

    Attributes:
        position: In the test set, from 0.
        reason: Why it is shown.
    """

    position: int
    reason: str


def telling(
    answers: Answers, labels: np.ndarray, count: int, other: Answers | None = None, beside: Beside | None = None
) -> list[Example]:
    """The examples that tell most, of each kind in turn: mistake, narrow success, doubt, disagreement.

    Args:
        answers: Of the network that is looked at.
        labels: `[examples]` true classes.
        count: How many examples.
        other: The network beside it, if there is one.
        beside: How both compare.
    """
    right = answers.predictions == labels
    surest_first = np.argsort(-answers.confidence, kind="stable")
    kinds = [
        _ranked(surest_first[~right[surest_first]], "its surest mistake", "a sure mistake"),
        _ranked(surest_first[right[surest_first]][::-1], "its least sure right answer", "a right answer, barely"),
        _ranked(np.argsort(-answers.entropy, kind="stable"), "its highest entropy", "high entropy"),
    ]
    if other is not None and beside is not None:
        against = f"{answers.role} and {other.role} disagree"
        kinds.append(_ranked(beside.disagreements, f"{against}, both sure", against))
    chosen: dict[int, Example] = {}
    while kinds and len(chosen) < count:
        for kind in list(kinds):
            # One example may be telling in several ways; the next of the kind takes its place.
            example = next((example for example in kind if example.position not in chosen), None)
            if example is None:
                kinds.remove(kind)
            elif len(chosen) < count:
                chosen[example.position] = example
    return list(chosen.values())


def _ranked(positions: np.ndarray, first: str, others: str) -> Iterator[Example]:
    for rank, position in enumerate(positions.tolist()):
        yield Example(position, others if rank else first)
