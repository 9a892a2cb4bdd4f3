"""What a person sees while a run goes on: one live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from distill.results.progress import ProgressFile
from distill.tracking import Row
from distill.tracking.fanout import Trackers

_WIDTH = 9  # of a role
_SECONDS_BETWEEN_LINES = 1.0


class Display:
    """Tells of a run on one console.

    Args:
        console: Where to.
        quiet: One line per network and no progress.
        file: Is told as well, for who looks from elsewhere, as `distill watch` does.
        trackers: Are told of epochs.
    """

    def __init__(
        self, console: Console, quiet: bool, file: ProgressFile | None = None, trackers: Trackers | None = None
    ):
        self.console = console
        self._quiet = quiet
        self._file = file
        self._trackers = trackers
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._accuracies: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._said = float("-inf")

    @contextmanager
    def plan(self, roles: Sequence[str]) -> Iterator[None]:
        """Shows all networks of the run from its start to its end."""
        if self._file is not None:
            self._file.plan(list(roles))
        if self._quiet or not self.console.is_terminal:
            yield
            return
        self._progress = Progress(
            TextColumn("{task.fields[mark]} {task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )
        with self._progress:
            for role in roles:
                self._tasks[role] = self._progress.add_task(
                    role.ljust(_WIDTH), total=1.0, start=False, mark="[dim]·[/]", state=""
                )
            try:
                yield
            finally:
                self._tasks = {}
        self._progress = None

    def say(self, text: str, style: str = "") -> None:
        """One line that stays."""
        try:
            self.console.print(Text(text, style=style), soft_wrap=True)
        except BrokenPipeError:
            raise
        except OSError:
            pass  # a log on a disk that is full is no reason to lose a training

    def warn(self, text: str) -> None:
        """One line about something that is not as it should be."""
        self.say(f"warning: {text}", "yellow")

    def network(self, role: str, text: str) -> None:
        """One line about a network, which is done."""
        if self._progress is not None and role in self._tasks:
            self._progress.update(self._tasks[role], completed=1.0, mark="[green]✓[/]", state="", visible=False)
        self.say(f"{role:{_WIDTH}} {text}")

    def waiting(self, role: str) -> None:
        """Another process is training a network that is needed here; told once."""
        if self._file is not None:
            self._file.waiting(role)
        if role not in self._waiting:
            self._waiting.add(role)
            self.say(f"{role:{_WIDTH}} waits for another process that is training it", "dim")

    def begin(self, role: str, networks: int = 1) -> None:
        """Training of a network starts, or of a stack of several."""
        if self._file is not None:
            self._file.begin(role, networks)
        if self._progress is not None:
            self._progress.start_task(self._tasks[role])
            self._progress.update(self._tasks[role], mark="[cyan]▸[/]")

    def step(self, role: str, epoch: int, epochs: int, progress: float, loss: float) -> None:
        """Moves the bar."""
        if self._file is not None:
            self._file.step(role, epoch, epochs, progress, loss)
        if self._progress is not None:
            state = f"epoch {epoch}/{epochs}  loss {loss:.4f}  {self._accuracy(role)}"
            self._progress.update(self._tasks[role], completed=progress, state=state)

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """One line where there is no live display, though not more than one a second."""
        if self._file is not None:
            self._file.epoch(row, epochs)
        if self._trackers is not None:
            self._trackers.epoch(row)
        self._accuracies[row["role"]] = row["test_accuracy"]
        if self._quiet or self._progress is not None:
            return
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES and row["epoch"] < epochs:
            return
        self._said = now
        accuracies = "  ".join(
            f"{name} {row[key]:6.2%}"
            for name, key in (("train", "train_accuracy"), ("val", "val_accuracy"), ("test", "test_accuracy"))
            if row[key] is not None
        )
        self.say(
            f"{row['role']:{_WIDTH}} epoch {row['epoch']:{len(str(epochs))}}/{epochs}  "
            f"loss {row['loss']:8.4f}  {accuracies}  {row['seconds']:.2f} s",
            "dim",
        )

    def resumed(self, rows: Sequence[Row]) -> None:
        """Epochs that an earlier sitting trained; trackers may not know them."""
        if self._trackers is not None:
            self._trackers.network(rows)

    def _accuracy(self, role: str) -> str:
        return f"test {self._accuracies[role]:.2%}" if role in self._accuracies else ""
