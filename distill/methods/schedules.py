"""Numbers of a loss that move while a student learns, such as the temperature."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

Shape = Literal["constant", "linear", "cosine", "step"]

# Stairs of `step`: the value changes after each quarter of the epochs but the last.
_STAIRS = 4


def scheduled(start: float, end: float | None, shape: Shape, epoch: int, epochs: int) -> float:
    """A number in an epoch: `start` in the first one and `end` in the last.

    Args:
        start: Its first value.
        end: Its last value; `None` for `constant`.
        shape: `linear`; `cosine`, slow at both ends; `step`, four equal stairs; or `constant`, always `start`.
        epoch: From 0.
        epochs: How many there are.
    """
    if shape == "constant" or end is None:
        return start
    if shape == "step":
        done = min(epoch * _STAIRS // epochs, _STAIRS - 1) / (_STAIRS - 1)
    else:
        done = epoch / max(1, epochs - 1)
        if shape == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
    return start + (end - start) * done


def faded(share: float, epoch: int, epochs: int) -> float:
    """What is left of a weight that falls to zero as half a cosine: 1 at first, 0 in the last of several epochs.

    Args:
        share: Of the epochs after which it begins to fall; 1 keeps it.
        epoch: From 0.
        epochs: How many there are.
    """
    first = share * epochs
    if epochs == 1 or epoch + 1 <= first:
        return 1.0
    return (1 + math.cos(math.pi * (epoch + 1 - first) / (epochs - first))) / 2


def problems(name: str, shape: Shape, end: float | None) -> Iterable[str]:
    """Sentences about a schedule without an end, or an end without a schedule.

    Args:
        name: Of the number, such as `T`.
        shape: As in `scheduled`.
        end: Likewise.
    """
    if shape == "constant" and end is not None:
        yield f"{name}_end={end:g} is not allowed with {name}_schedule=constant: choose linear, cosine or step."
    if shape != "constant" and end is None:
        yield f"{name}_schedule={shape} is not allowed without method.{name}_end: give the value of the last epoch."
