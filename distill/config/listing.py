"""`distill list`: what can be chosen, read from the YAML files themselves."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from distill.config import tree


def show(kind: str) -> None:
    """Prints the options of one kind: name, one line, keys with their defaults.

    Args:
        kind: One of `tree.KINDS`.
    """
    group = tree.KINDS[kind]
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column(f"{group}=", style="bold", no_wrap=True)
    table.add_column("what it is", ratio=3)
    several = tree.mounts(group)
    before = f"\nafter {' or '.join(f'{mount}.' for mount in several)}" if len(several) > 1 else ""
    table.add_column(f"options{before}", ratio=2, style="dim")
    for choice in tree.choices(group):
        table.add_row(
            choice.name, choice.summary, "  ".join(f"{key}={_shown(value)}" for key, value in choice.keys.items())
        )
    Console().print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(", ", ",").replace("'", "") if isinstance(value, list) else str(value)
