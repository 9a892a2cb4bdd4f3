"""What a person sees while a run goes on: one live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from distill.results.measures import known_score
from distill.results.progress import ProgressFile
from distill.tracking import Row
from distill.tracking.fanout import Trackers

_WIDTH = 9  # of a role, at least
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
        self._tested: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._said = float("-inf")
        self._width = _WIDTH

    @contextmanager
    def plan(self, roles: Sequence[str]) -> Iterator[None]:
        """Shows all networks of the run from its start to its end."""
        self._width = max(_WIDTH, *map(len, roles))
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
                    role.ljust(self._width), total=1.0, start=False, mark="[dim]·[/]", state=""
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
        self.say(f"{role:{self._width}} {text}")

    def waiting(self, role: str) -> None:
        """Another process is training a network that is needed here; told once."""
        if self._file is not None:
            self._file.waiting(role)
        if role not in self._waiting:
            self._waiting.add(role)
            self.say(f"{role:{self._width}} waits for another process that is training it", "dim")

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
            state = f"epoch {epoch}/{epochs}  loss {loss:.4f}  {self._told(role)}"
            self._progress.update(self._tasks[role], completed=progress, state=state)

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """One line where there is no live display, though not more than one a second."""
        if self._file is not None:
            self._file.epoch(row, epochs)
        if self._trackers is not None:
            self._trackers.epoch(row)
        if (test := known_score(row, "test")) is not None:
            self._tested[row["role"]] = test
        if self._quiet or self._progress is not None:
            return
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES and row["epoch"] < epochs:
            return
        self._said = now
        known = {split: known_score(row, split) for split in ("train", "val", "test")}
        told = "  ".join(f"{split} {value:6.2%}" for split, value in known.items() if value is not None)
        told = f"R2 {told}" if "test_r2" in row else told
        self.say(
            f"{row['role']:{self._width}} epoch {row['epoch']:{len(str(epochs))}}/{epochs}  "
            f"loss {row['loss']:8.4f}  {told}  {row['seconds']:.2f} s",
            "dim",
        )

    def resumed(self, rows: Sequence[Row]) -> None:
        """Epochs that an earlier sitting trained; trackers may not know them."""
        if self._trackers is not None:
            self._trackers.network(rows)

    def _told(self, role: str) -> str:
        return f"test {self._tested[role]:.2%}" if role in self._tested else ""


def reached(measures: Mapping[str, Any]) -> str:
    """How good a network is, in a few characters."""
    if measures.get("r2") is None:
        return f"{measures['accuracy']:7.2%}"
    return f"R2 {measures['r2']:7.2%}, RMSE {measures['rmse']:.4g}"
