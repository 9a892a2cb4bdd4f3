"""What fits: measured free memory, and where the examples of a split may therefore lie."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from distill.data.pictures import PictureFiles
from distill.data.split import Split

# The other half is for networks, what they remember for the backward pass, and other programs.
SHARE = 0.5

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device | str) -> int:
    """Memory that a new tensor on `device` could take right now, bytes."""
    device = torch.device(device)
    if device.type == "cuda":
        # What torch holds without using it is not free to others, but free to us.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return min([_main_memory(), *_group_limits()])


def place(split: Split, device: torch.device | str, name: str = "training examples") -> tuple[Split, str | None]:
    """Puts a split on the device when it needs at most half of the memory that is free there.

    Pictures that are decoded anew in each epoch stay files.

    Args:
        split: The examples.
        device: Where networks compute.
        name: What the examples are called in the sentence.

    Returns:
        The split, there or where it was, and a sentence to tell when it did not fit.
    """
    device = torch.device(device)
    if split.device.type == device.type or isinstance(split.inputs, PictureFiles):
        return split, None
    free = free_bytes(device)
    if split.bytes <= free * SHARE:
        return split.to(device), None
    return split, (
        f"The {name} ({shown(split.bytes)}) stay in main memory: {device} has {shown(free)} free, of which half may be "
        "used."
    )


def shown(count: float) -> str:
    """A number of bytes as people read it, such as `12.3 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _main_memory() -> int:
    try:
        lines = (_PROC / "meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _group_limits() -> list[int]:
    """What containers and batch systems leave us: the free bytes of each control group that we are in."""
    try:
        entry = next(line for line in (_PROC / "self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        entry = "0::/"
    inner = _CGROUPS / entry.removeprefix("0::").lstrip("/")
    groups = [inner, *inner.parents]
    found = [_group_free(group) for group in groups if group.is_relative_to(_CGROUPS)]
    return [free for free in found if free is not None]


def _group_free(group: Path) -> int | None:
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    # File pages that were read once count as used, and make room when asked.
    return None if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
