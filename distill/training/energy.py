"""The energy that a machine says it has used; whatever else runs on the same chip counts with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

_POWERCAP = Path("/sys/class/powercap")


@dataclass
class Counter:
    """A number that only rises, until it begins at zero again.

    Attributes:
        read: Gives it.
        joules: What one more of it means.
        largest: Its largest value, which zero follows.
        latest: What it was when it was last read.
    """

    read: Callable[[], int]
    joules: float
    largest: int
    latest: int

    def used(self) -> float:
        """Joules since it was last read."""
        before, self.latest = self.latest, self.read()
        difference = self.latest - before
        return (difference if difference >= 0 else difference + self.largest + 1) * self.joules


class Meter:
    """Adds up what counters say, from now on.

    Args:
        device: A CUDA GPU, whose own counter is read; or the CPU, where it is those of all processor packages. Nobody
            but root may read these on most systems.
    """

    def __init__(self, device: torch.device):
        self._counters = _counters(device)
        self._joules = 0.0

    def look(self) -> None:
        """Reads the counters; some begin anew within minutes, and must be read more often than that."""
        try:
            self._joules += sum(counter.used() for counter in self._counters)
        except Exception:  # a driver that went away, in whatever words its library has for that
            self._counters = []

    @property
    def joules(self) -> float | None:
        """What has been used, as far as the last look; `None` where nothing counts."""
        return self._joules if self._counters else None


def _counters(device: torch.device) -> list[Counter]:
    try:
        if device.type == "cuda":
            return [_gpu(device)]
        return list(_packages()) if device.type == "cpu" else []
    except Exception:  # no such library, counter or permission: energy is then not told, and no reason to stop
        return []


def _gpu(device: torch.device) -> Counter:
    nvml = _nvml()
    # CUDA's numbers are its own, and depend on what the user lets it see.
    handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")

    def read() -> int:
        return nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    return Counter(read, 1e-3, 2**64 - 1, read())


@cache
def _nvml() -> Any:
    nvml = importlib.import_module("pynvml")
    nvml.nvmlInit()
    return nvml


def _packages() -> Iterator[Counter]:
    """Intel's and AMD's counters (RAPL); parts of a package count in it already, and `psys` has packages in it."""
    for zone in sorted(_POWERCAP.glob("intel-rapl:*")):
        if not (zone / "name").read_text(encoding="utf-8").startswith("package"):
            continue

        def read(file: Path = zone / "energy_uj") -> int:
            return int(file.read_text(encoding="utf-8"))

        yield Counter(read, 1e-6, int((zone / "max_energy_range_uj").read_text(encoding="utf-8")), read())
