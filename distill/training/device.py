"""The device a run computes on."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from distill.errors import DeviceError

_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "can't allocate memory")
# FLOPs of one forward pass of a batch; below, two threads are slower, and much slower when the machine is busy.
_SHARING_PAYS_FROM = 1e7


def resolve(name: str, number: int = 0) -> torch.device:
    """The device called `name`, checked to be there.

    Args:
        name: `auto` (CUDA, else Apple's MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        number: Of this process among those on its machine, each of which takes a GPU of its own.

    Raises:
        DeviceError: The name is unknown or the machine has no such device.
    """
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    if name == "cuda" and number:
        name = f"cuda:{number}"
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


def occupy(device: torch.device) -> None:
    """Makes a GPU the one that is meant where torch is told of none."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def describe(device: torch.device) -> str:
    """What the device is, for tables and records, such as `cpu, 2 threads (x86_64)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'' if threads == 1 else 's'} ({platform.machine()})"


def is_described(device: torch.device, recorded: str) -> bool:
    """Whether a record is of this device: older ones say `1 threads`."""
    return recorded.replace(", 1 threads ", ", 1 thread ") == describe(device)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; libraries and CPUs say it in a plain `RuntimeError`."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(words in said for words in _OUT_OF_MEMORY)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Uses only operations that give equal bits each time, on GPUs as well, where that was asked for."""
    if not wanted:
        yield
        return
    # cuBLAS reads it when it starts, which is before the first product of two matrices.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


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
