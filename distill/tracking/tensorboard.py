"""A tracker for TensorBoard: event files, one folder per run, and below it one per role, so that curves lie over
one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import yaml

from distill.tracking.base import FolderOptions, trackers
from distill.tracking.run import Row, Status, TrackedRun, numbers, results

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@dataclass(frozen=True, kw_only=True)
class TensorboardOptions(FolderOptions):
    """Options of `tensorboard`.

    Attributes:
        dir: Folder of the event files: `<dir>/<run>/<role>`, `<dir>/<sweep>/<job>/<role>` for a sweep.
    """

    package: ClassVar[str] = "tensorboard"

    dir: str = "outputs/tracking/tensorboard"


@trackers.register("tensorboard", TensorboardOptions)
class TensorboardTracker:
    """Scalars of each role by epoch; settings and results for the page HPARAMS; the config as text."""

    def __init__(self, options: TensorboardOptions, run: TrackedRun):
        group, name = run.names(options.run_name)
        self._folder = options.folder(group, name)
        self._run = run
        self._writers: dict[str, SummaryWriter] = {}
        if run.again:  # it is told from its beginning, so that no epoch stands there twice
            for old in self._folder.rglob("events.out.tfevents.*"):
                old.unlink()
        own = self._writer(".")
        own.add_text("command", f"    {run.command}")
        own.add_text("config", f"```yaml\n{yaml.safe_dump(dict(run.config), sort_keys=False)}```")
        own.flush()

    def log(self, rows: Sequence[Row]) -> None:
        """Writes epochs."""
        for row in rows:
            for name, value in numbers(row).items():
                self._writer(row["role"]).add_scalar(name, value, row["epoch"])
        self._flush()

    def result(self, rows: Sequence[Row], files: Sequence[Path]) -> None:
        """Writes results beside their curves, the student's with the settings that led there."""
        settings = {key: _plain(value) for key, value in self._run.overrides.items()}
        for role, floats, _ in results(list(rows)):
            found = {f"result/{name}": value for name, value in floats.items()}
            if role == "student":
                self._writer(role).add_hparams(settings, found, run_name=".", global_step=int(floats["epochs"]))
                continue
            for name, value in found.items():
                self._writer(role).add_scalar(name, value, int(floats["epochs"]))
        self._writer(".").add_text("files", "\n".join(f"- {path}" for path in files))

    def close(self, status: Status, error: str | None) -> None:
        """Writes how the run ended."""
        self._writer(".").add_text("status", f"{status}: {error}" if error else status)
        for writer in self._writers.values():
            writer.close()

    def _writer(self, role: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if role not in self._writers:
            self._writers[role] = SummaryWriter(str(self._folder / role))
        return self._writers[role]

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()


def _plain(value: str) -> float | str:
    """A number where it is one: TensorBoard sorts and filters by it."""
    try:
        return float(value)
    except ValueError:
        return value
