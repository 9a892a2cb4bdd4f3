"""`distill store`: looking at the kept networks, and forgetting some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from distill.errors import DistillError
from distill.experiments.store import Artifact, Store
from distill.results import layout
from distill.results.measures import score


def show(root: Path) -> None:
    """Prints a row for each kept network, newest first.

    Args:
        root: The store's folder.
    """
    console = Console()
    store = Store(root)
    artifacts, leftovers = store.artifacts(), store.leftovers()
    if not artifacts and not leftovers:
        console.print(Text(f"The store {root} is empty."), soft_wrap=True)
        return
    if artifacts:
        layout.show(_fields(artifacts), console)
    total = sum(artifact.size for artifact in artifacts)
    console.print(Text(f"{len(artifacts)} networks, {total / 1e6:,.1f} MB in {root}"), soft_wrap=True)
    for folder in leftovers:
        console.print(Text(f"unfinished or damaged: {folder.name}", "yellow"), soft_wrap=True)


def _fields(artifacts: Sequence[Artifact]) -> list[layout.Field]:
    def field(heading: str, weight: float, show: Callable[[Artifact], str], text: bool = True) -> layout.Field:
        return layout.Field(heading, [Text(show(artifact)) for artifact in artifacts], weight, text)

    return [
        field("network", 100, lambda artifact: artifact.folder.name),
        field("model", 100, lambda artifact: artifact.record.model),
        field("data set", 60, lambda artifact: artifact.record.dataset),
        field("method", 70, lambda artifact: artifact.record.method),
        field("reached\n%", 100, lambda artifact: f"{100 * (score(artifact.record.measures) or 0):.2f}", text=False),
        field("trained in", 40, lambda artifact: f"{artifact.record.seconds:.1f} s", text=False),
        field("size\nKB", 50, lambda artifact: f"{artifact.size / 1000:,.0f}", text=False),
        field("when", 80, lambda artifact: f"{datetime.fromtimestamp(artifact.record.created):%Y-%m-%d %H:%M}"),
    ]


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


def _named(name: str, kept: Sequence[Path], root: Path) -> list[Path]:
    found = [folder for folder in kept if name and name in (folder.name, *_beginnings(folder.name, len(name)))]
    if not found:
        raise DistillError(f"The store {root} holds no {name!r}; `distill store ls` shows what it holds.")
    return found


def _beginnings(folder: str, length: int) -> tuple[str, str]:
    return folder[:length], folder.partition("-")[2][:length]
