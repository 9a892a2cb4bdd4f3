"""The most memory that was taken at any moment."""

from __future__ import annotations

from pathlib import Path

import torch

_PROCESS = Path("/proc/self")
_FORGET_PEAK = "5"  # see proc(5), clear_refs


def forget(device: torch.device) -> bool:
    """Begins to look for a new peak.

    Args:
        device: A GPU, whose tensors are counted; or the CPU, where all that the process holds in memory is, Python and
            torch included.

    Returns:
        Whether `read` will know it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    if device.type != "cpu":
        return False
    try:
        (_PROCESS / "clear_refs").write_text(_FORGET_PEAK)
        read(device)
    except (OSError, ValueError, StopIteration):  # not Linux, or a container that does not allow it
        return False
    return True


def read(device: torch.device) -> int:
    """The peak since `forget`, bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = (_PROCESS / "status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
