"""What a training takes of the machine, from its first epoch to its last, with the evaluations between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from distill.training import peak_memory
from distill.training.energy import Meter
from distill.training.world import ALONE, World

_JOULES_PER_WH = 3600.0


@dataclass(frozen=True)
class Spent:
    """What a training took.

    Attributes:
        memory: Peak, bytes, of the process that needed most; `None` where nobody knows.
        joules: Energy; `None` likewise.
    """

    memory: int | None = None
    joules: float | None = None

    @property
    def columns(self) -> dict[str, float | None]:
        """As the results table has it."""
        return {
            "memory_mb": None if self.memory is None else self.memory / 1e6,
            "energy_wh": None if self.joules is None else self.joules / _JOULES_PER_WH,
        }


class Costs:
    """Watches one sitting of a training, and knows of earlier ones.

    Args:
        device: Where it is trained.
        world: The processes that train together.
    """

    def __init__(self, device: torch.device, world: World = ALONE):
        self._device = device
        self._world = world
        self._earlier: list[Spent] = []
        self._knows_memory = peak_memory.forget(device)
        self._meter = Meter(device)

    def look(self) -> None:
        """To be called every few seconds at least."""
        self._meter.look()

    def spent(self) -> Spent:
        """Of all sittings and processes so far; all processes must ask at the same time."""
        self._meter.look()
        own = Spent(peak_memory.read(self._device) if self._knows_memory else None, self._meter.joules)
        all_of_them = self._world.gather(own)
        # Each GPU counts for itself, a CPU for all processes on it.
        joules = [each.joules for each in all_of_them]
        now = Spent(_largest([each.memory for each in all_of_them]), (_sum if self._apart else _largest)(joules))
        sittings = [*self._earlier, now]
        return Spent(_largest([each.memory for each in sittings]), _sum([each.joules for each in sittings]))

    @property
    def _apart(self) -> bool:
        return self._device.type == "cuda"

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint; as `spent`, for all processes at once."""
        return asdict(self.spent())

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on after the sittings that `state` told of."""
        self._earlier = [Spent(**state)]


def _largest(numbers: Sequence[Any]) -> Any:
    return None if None in numbers else max(numbers)


def _sum(numbers: Sequence[Any]) -> Any:
    return None if None in numbers else sum(numbers)
