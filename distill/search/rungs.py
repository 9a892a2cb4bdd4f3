"""Early stopping of the hopeless: successive halving, and which candidates no smaller one beats.

All candidates are trained for few epochs; the best of them anew for more; the best of these in full (Jamieson and
Talwalkar 2016, https://arxiv.org/abs/1502.07943). Each rung is a training of its own with its whole schedule, as the
end of a short schedule tells more than the beginning of a long one; so it is as exact, and as resumable, as any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

_MOST = 3


class Point(Protocol):
    """What a candidate costs and reached."""

    @property
    def cost(self) -> float:
        """What is to be low."""
        ...

    @property
    def reached(self) -> float:
        """What is to be high."""
        ...


def epochs_of(full: int, halving: int, warmup: float = 0.0) -> list[int]:
    """The epochs of each rung, at most three: of 18 with `halving=3` these are 2, 6 and 18.

    Args:
        full: Epochs of a whole training.
        halving: By how much a rung is shorter than the next.
        warmup: Epochs that every training needs more of.
    """
    if halving == 1:
        return [full]
    shorter = (math.ceil(full / halving**power) for power in range(_MOST - 1, 0, -1))
    return [*dict.fromkeys(epochs for epochs in shorter if warmup < epochs < full), full]


def survivors(points: Sequence[Point], halving: int) -> list[int]:
    """Which go on to the next rung, one in `halving`, by their places and in their order.

    First those that no cheaper one beats, then those that only these beat, and so on, so that the small ones that are
    good for their size stay beside the large ones; among equals the most accurate.
    """
    ranks = _ranks(points)
    ordered = sorted(range(len(points)), key=lambda place: (ranks[place], -points[place].reached, place))
    return sorted(ordered[: math.ceil(len(points) / halving)])


def front(points: Sequence[Point]) -> list[int]:
    """The Pareto front: those that no other beats in cost and accuracy, by their places, the cheapest first."""
    ranks = _ranks(points)
    return sorted((place for place, rank in enumerate(ranks) if rank == 0), key=lambda place: points[place].cost)


def _ranks(points: Sequence[Point]) -> list[int]:
    ranks = [-1] * len(points)
    left, rank = set(range(len(points))), 0
    while left:
        free = {place for place in left if not any(_beats(points[other], points[place]) for other in left)}
        for place in free:
            ranks[place] = rank
        left, rank = left - free, rank + 1
    return ranks


def _beats(one: Point, other: Point) -> bool:
    no_worse = one.cost <= other.cost and one.reached >= other.reached
    return no_worse and (one.cost, one.reached) != (other.cost, other.reached)
