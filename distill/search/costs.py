"""What a candidate costs, known before it is trained, and whether that is within the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from distill.config.model_options import ModelOptions
from distill.config.schema import Hparams
from distill.models import count, create
from distill.training import precision
from distill.training.latency import latency

_SECONDS = 1.0  # as long as a trained network's is measured for


class Costs:
    """Of one candidate, each found out when it is asked for.

    Args:
        options: The network.
        input_shape: Of one example.
        classes: Width of the logits.
        device: Where.
        hparams: Of the student, whose precision latency is measured in.

    Raises:
        ConfigError: The network cannot take such examples.
    """

    def __init__(
        self, options: ModelOptions, input_shape: tuple[int, ...], classes: int, device: torch.device, hparams: Hparams
    ):
        self._network = create(options, input_shape, classes)
        self._shape = input_shape
        self._device = device
        self._hparams = hparams

    @cached_property
    def params(self) -> int:
        """Parameters."""
        return count.parameters(self._network)

    @cached_property
    def flops(self) -> int:
        """Of a forward pass of one example."""
        return count.flops(self._network, self._shape)

    @cached_property
    def latency_ms(self) -> float:
        """Median of a forward pass of one example, milliseconds."""
        name, work = self._hparams.precision, self.flops * self._hparams.batch_size
        settled = precision.resolve(name, self._device, work)
        example = torch.zeros(1, *self._shape, device=self._device)
        return latency(self._network.to(self._device), example, settled, _SECONDS).median


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate may be trained.

    Attributes:
        costs: Those that a limit is set for, and those that cost nothing to find out.
        over: Name of the first limit that it exceeds; `None` where it keeps all.
    """

    costs: Mapping[str, float]
    over: str | None


def judge(costs: Costs, limits: Mapping[str, float], timed: Callable[[Callable[[], float]], float]) -> Verdict:
    """Holds a candidate to the budget; latency, which takes a second, is measured last and only if it counts.

    Args:
        costs: Of the candidate.
        limits: What it may cost, by name.
        timed: Gives the latency: an earlier one of the same candidate, or what its argument measures now.
    """
    found: dict[str, float] = {}
    for name in ("params", "flops", "latency_ms"):
        if name == "latency_ms":
            if name not in limits:
                break
            found[name] = timed(lambda: costs.latency_ms)
        else:
            found[name] = getattr(costs, name)
        if name in limits and found[name] > limits[name]:
            return Verdict(found, name)
    return Verdict(found, None)
