"""How long a network takes to answer."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from torch import Tensor, nn

from distill.training.device import synchronize
from distill.training.evaluate import evaluating
from distill.training.precision import Precision

_WARM_UP = 3
# As few as tell a 99th percentile; a slow network gets fewer, and has none.
_REPEATS, _FEWEST = 100, 5


@dataclass(frozen=True)
class Latency:
    """Times of a forward pass.

    Attributes:
        median: Milliseconds.
        p99: Milliseconds that 99 % of the passes stay below; `None` where there was time for too few to tell.
        throughput: Examples per second at the median, which one interruption by another program does not move.
    """

    median: float
    p99: float | None
    throughput: float


def latency(network: nn.Module, inputs: Tensor, precision: Precision, seconds: float) -> Latency:
    """Times forward passes one by one, after a warm-up, each waited for.

    Args:
        network: On the device of `inputs`.
        inputs: `[batch, ...]`.
        precision: Of the forward pass.
        seconds: After which no more passes are begun, though there are 5 at least and 100 at most.
    """
    times: list[float] = []
    with evaluating(network), precision.autocast():
        for _ in range(_WARM_UP):
            network(inputs)
        began = time.perf_counter()
        while len(times) < _FEWEST or (len(times) < _REPEATS and time.perf_counter() - began < seconds):
            synchronize(inputs.device)
            start = time.perf_counter()
            network(inputs)
            synchronize(inputs.device)
            times.append(time.perf_counter() - start)
    return summary(times, len(inputs))


def summary(times: list[float], examples: int) -> Latency:
    """What is told of the times.

    Args:
        times: Of single passes, seconds.
        examples: In each pass.
    """
    ordered = sorted(times)
    slow = ordered[math.ceil(0.99 * len(ordered)) - 1] * 1e3 if len(ordered) >= _REPEATS else None
    median = ordered[len(ordered) // 2]
    return Latency(median * 1e3, slow, examples / median)
