"""The head of every benchmark: on what, with what, when and of how many measurements its numbers come."""

from __future__ import annotations

import datetime

import torch
from rich.console import Console

from distill.experiments.provenance import machine, versions
from distill.training.device import resolve


def say_where(console: Console, measured: str, device: torch.device | None = None) -> None:
    """Prints hardware, threads, versions and date.

    Args:
        console: Where to.
        measured: What the numbers of the table are, with n and their unit.
        device: What computes; default: the CPU.
    """
    facts = machine(device or resolve("cpu"))
    lines = [
        f"{facts['processor']}, {facts['threads']} threads, {facts['platform']}",
        ", ".join(f"{name} {version}" for name, version in versions().items()),
        f"{datetime.date.today()}; {measured}",
    ]
    if facts["type"] != "cpu":
        lines.insert(0, facts["name"])
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
