"""Number formats of the forward pass; master weights, losses and statistics are fp32 in all of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from distill.errors import DeviceError

# Below this much work per step, casting costs a CPU more than bf16 arithmetic saves (scripts/bench_step.py).
_CPU_PAYS_FROM = 1e8  # FLOPs of one forward pass of a batch


@dataclass(frozen=True)
class Precision:
    """One number format on one device.

    Attributes:
        name: `fp32`, `bf16` or `fp16`.
        device: Where it is used.
    """

    name: str
    device: torch.device

    @property
    def dtype(self) -> torch.dtype | None:
        """What autocast converts to; `None` where it does not."""
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.name]

    def autocast(self) -> AbstractContextManager[Any]:
        """The context a forward pass runs in."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device.type, dtype=self.dtype)

    def scaler(self) -> torch.amp.GradScaler | None:
        """The loss scaler that fp16 needs against underflow of gradients."""
        return torch.amp.GradScaler(self.device.type) if self.name == "fp16" else None


def resolve(name: str, device: torch.device, flops: float) -> Precision:
    """The format to use where the config says `name`.

    Args:
        name: `auto`, `fp32`, `bf16` or `fp16`.
        device: Where the network runs.
        flops: Work of one forward pass of one batch, FLOPs.

    Raises:
        DeviceError: The device cannot compute in that format.
    """
    if name == "auto":
        pays = device.type != "cpu" or flops >= _CPU_PAYS_FROM
        name = "bf16" if native_bf16(device) and pays else "fp32"
    if name == "bf16" and device.type == "cuda" and not native_bf16(device):
        raise DeviceError("precision=bf16 is not there on this GPU: use fp16 or fp32.")
    return Precision(name, device)


@cache
def native_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bf16 instead of emulating it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        except OSError:
            return False
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False
