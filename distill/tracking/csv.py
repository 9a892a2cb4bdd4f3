"""A tracker of one CSV file per run, which grows while the run trains and which every program can read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.tracking.base import FolderOptions, trackers
from distill.tracking.run import Row, Status, TrackedRun, numbers, results

_HEADER = ("role", "epoch", "name", "value")


@dataclass(frozen=True, kw_only=True)
class CsvOptions(FolderOptions):
    """Options of `csv`.

    Attributes:
        dir: Folder of the files: `<dir>/<run>.csv`, `<dir>/<sweep>/<job>.csv` for a sweep.
    """

    dir: str = "outputs/tracking/csv"


@trackers.register("csv", CsvOptions)
class CsvTracker:
    """Writes a line per number: role, epoch (none for a result), name, value."""

    def __init__(self, options: CsvOptions, run: TrackedRun):
        group, name = run.names(options.run_name)
        # A run that goes on is told from its beginning, so that the file always holds all of it once.
        self._file = (options.folder(group) / f"{name}.csv").open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._write([_HEADER, *(("", "", f"override/{key}", value) for key, value in run.overrides.items())])

    def log(self, rows: Sequence[Row]) -> None:
        """Appends epochs."""
        self._write((row["role"], row["epoch"], name, value) for row in rows for name, value in numbers(row).items())

    def result(self, rows: Sequence[Row], files: Sequence[Path]) -> None:
        """Appends results, and where the files of the run are."""
        for role, floats, texts in results(list(rows)):
            self._write((role, "", f"result/{name}", value) for name, value in (floats | texts).items())
        self._write(("", "", f"file/{path.name}", path) for path in files)

    def close(self, status: Status, error: str | None) -> None:
        """Appends how the run ended."""
        self._write([("", "", "status", status), *([("", "", "error", error)] if error else [])])
        self._file.close()

    def _write(self, lines: Iterable[tuple[object, ...]]) -> None:
        self._writer.writerows(lines)
        self._file.flush()
