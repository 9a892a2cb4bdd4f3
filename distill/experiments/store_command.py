"""`distill store`: looking at the kept networks, and forgetting some."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from distill.errors import DistillError
from distill.experiments.store import Store


def show(root: Path) -> None:
    """Prints a row for each kept network, newest first.

    Args:
        root: The store's folder.
    """
    console = Console()
    store = Store(root)
    artifacts, leftovers = store.artifacts(), store.leftovers()
    if not artifacts and not leftovers:
        console.print(f"The store {root} is empty.", soft_wrap=True, highlight=False)
        return
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("role", "signature", "model", "data set", "method"):
        table.add_column(heading, no_wrap=True)
    for heading in ("accuracy %", "trained in s", "size KB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("when", no_wrap=True)
    for artifact in artifacts:
        record = artifact.record
        table.add_row(
            record.role,
            record.signature,
            record.model,
            record.dataset,
            record.method,
            f"{100 * record.measures['accuracy']:.2f}",
            f"{record.seconds:.1f}",
            f"{artifact.size / 1000:,.0f}",
            f"{datetime.fromtimestamp(record.created):%Y-%m-%d %H:%M}",
        )
    console.print(table)
    total = sum(artifact.size for artifact in artifacts)
    console.print(f"{len(artifacts)} networks, {total / 1e6:,.1f} MB in {root}", soft_wrap=True, highlight=False)
    for folder in leftovers:
        console.print(f"unfinished or damaged: {folder.name}", style="yellow", soft_wrap=True, highlight=False)


def remove(root: Path, names: Sequence[str], everything: bool) -> None:
    """Forgets networks.

    Args:
        root: The store's folder.
        names: Signatures, beginnings of them, or `role-signature`.
        everything: Forget all, and what unfinished trainings left.

    Raises:
        DistillError: Nothing is named, a name fits nothing, or a network is being trained.
    """
    store = Store(root)
    kept = [artifact.folder for artifact in store.artifacts()] + store.leftovers()
    if everything:
        chosen = kept
    elif not names:
        raise DistillError("`distill store rm` needs the name of a network, or --all; `distill store ls` shows them.")
    else:
        chosen = [folder for name in names for folder in _named(name, kept, root)]
    for folder in dict.fromkeys(chosen):
        store.remove(folder)
        print(f"removed {folder.name}")
    if everything:
        shutil.rmtree(root / "locks", ignore_errors=True)


def _named(name: str, kept: Sequence[Path], root: Path) -> list[Path]:
    found = [folder for folder in kept if name and name in (folder.name, *_beginnings(folder.name, len(name)))]
    if not found:
        raise DistillError(f"The store {root} holds no {name!r}; `distill store ls` shows what it holds.")
    return found


def _beginnings(folder: str, length: int) -> tuple[str, str]:
    return folder[:length], folder.partition("-")[2][:length]
