"""The commands of `distill`, one file each: its help as `HELP`, and `run`, which takes the words after its name.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import importlib
from types import ModuleType

# The commands in the order of their help, and the words that may follow each.
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": (),
    "list": ("models", "datasets", "methods", "hparams", "experiments", "trackers", "spaces"),
    "search": ("space=", "budget.params=", "budget.flops=", "budget.latency_ms=", "trials=", "strategy=", "halving="),
    "watch": (),
    "report": (),
    "inspect": (),
    "eval": (),
    "predict": (),
    "card": (),
    "export": (),
    "store": ("ls", "rm"),
}


def find(name: str) -> ModuleType:
    """The file of a command, one of `COMMANDS`."""
    return importlib.import_module(f"distill.commands.{name}")
