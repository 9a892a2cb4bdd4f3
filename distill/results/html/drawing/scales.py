"""From values to places on a plot, and which values an axis names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic scale.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
        start: Place of `low`, pixels.
        end: Place of `high`; smaller than `start` where values grow upwards.
        log: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, pixels."""
        low, high = self._bent(self.low), self._bent(self.high)
        return self.start + (self.end - self.start) * (self._bent(value) - low) / (high - low)

    def _bent(self, value: float) -> float:
        return math.log(value) if self.log else value

    def ticks(self, count: int = 6) -> list[float]:
        """Round values inside the scale, `count` of them at most, give or take one."""
        return _log_ticks(self.low, self.high, count) if self.log else _linear_ticks(self.low, self.high, count)


def around(values: Sequence[float], start: float, end: float, *, log: bool = False, margin: float = 0.06) -> Scale:
    """A scale that holds all values, with some room beside them.

    Args:
        values: One at least; positive where `log`.
        start: Place of the smallest, pixels.
        end: Place of the largest.
        log: Whether the scale is logarithmic.
        margin: Room on either side, as a share of the range.
    """
    low, high = min(values), max(values)
    if log:
        # Over less than a factor of two a logarithmic scale would make noise look large.
        room = max((high / low) ** margin, math.sqrt(2 * low / high))
        return Scale(low / room, high * room, start, end, log=True)
    room = margin * (high - low) or max(abs(high) * 0.02, 0.5)
    return Scale(low - room, high + room, start, end)


def beyond(value: float, values: Sequence[float]) -> bool:
    """Whether a value is so far from some others that a scale with it could not tell those apart."""
    low, high = min(values), max(values)
    return max(value - high, low - value) > 3 * (high - low) > 0


def is_geometric(values: Sequence[float]) -> bool:
    """Whether each value is about a constant multiple, of 1.5 at least, of the one before, as 1, 2, 4 or 1, 3, 10.

    Args:
        values: Ascending.
    """
    if len(values) < 3 or values[0] <= 0:
        return False
    ratios = [after / before for before, after in pairwise(values)]
    return min(ratios) >= 1.5 and max(ratios) <= 2.1 * min(ratios)


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    for step in (power, 2 * power, 5 * power, 10 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first <= count:
            break
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= count:
            break
    return ticks if len(ticks) > 1 else _linear_ticks(low, high, count)


def tick_labels(ticks: Sequence[float], *, even: bool = False) -> list[str]:
    """Ticks as short as they can be told apart: `0.5`, `95.5`, `50k`, `2.4M`.

    Args:
        ticks: Values.
        even: Whether all get as many decimals as one needs.
    """
    if any(abs(tick) >= 10_000 for tick in ticks):
        return [_compact(tick) for tick in ticks]
    texts = [f"{round(tick, 10) + 0.0:.6g}" for tick in ticks]
    if even:
        digits = max(len(text.partition(".")[2]) for text in texts)
        texts = [f"{round(tick, 10) + 0.0:.{digits}f}" for tick in ticks]
    return [text.replace("-", "−") for text in texts]


def _compact(value: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:g}"
