"""The device a run computes on."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from distill.errors import DeviceError

# FLOPs of one forward pass of a batch; below, two threads are slower, and much slower when the machine is busy.
_SHARING_PAYS_FROM = 1e7


def resolve(name: str) -> torch.device:
    """The device called `name`, checked to be there.

    Args:
        name: `auto` (CUDA, else Apple's MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        DeviceError: The name is unknown or the machine has no such device.
    """
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise DeviceError(f"device={name} is not allowed: it must be auto, cpu, cuda, cuda:N or mps.")
    device = torch.device(name)
    if device.type == "cuda" and not cuda:
        raise DeviceError(f"device={name} is not there: torch sees no CUDA device; use device=cpu.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise DeviceError(f"device={name} is not there: this machine has cuda:0 to cuda:{count - 1}.")
    if device.type == "mps" and not mps:
        raise DeviceError(f"device={name} is not there: this is no Apple GPU; use device=cpu.")
    return device


def describe(device: torch.device) -> str:
    """What the device is, for tables and records, such as `cpu, 2 threads (x86_64)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads ({platform.machine()})"


@contextmanager
def threads_for(flops: float) -> Iterator[None]:
    """Uses one CPU thread for work so small that sharing it out takes longer than doing it.

    Args:
        flops: Of one forward pass of one batch.
    """
    before = torch.get_num_threads()
    if flops < _SHARING_PAYS_FROM:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def synchronize(device: torch.device) -> None:
    """Waits for all work queued on the device, so that a clock read next means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
