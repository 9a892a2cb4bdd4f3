"""All trackers of a run as one; none of them can make it fail once it has begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distill.config.options import read
from distill.errors import DistillError
from distill.tracking.base import Tracker, TrackerOptions, trackers
from distill.tracking.run import Row, Status, TrackedRun

_SECONDS_BETWEEN_CALLS = 1.0


def ready(chosen: Mapping[str, Mapping[str, Any]]) -> None:
    """Finds out whether trackers can start, before any job of a sweep begins.

    Args:
        chosen: Keys of each tracker by its name; what is wrong with them is left to the jobs to tell.

    Raises:
        DistillError: One cannot.
    """
    for name, values in chosen.items():
        options, _ = read(trackers.find(name).options, {"name": name, **values})
        if isinstance(options, TrackerOptions):
            with _starting(options):
                options.ready()


class Trackers:
    """Hands epochs and results to every tracker, and ends their runs when its block ends, as the block ended.

    Args:
        options: `TrackerOptions` of each tracker.
        run: What is tracked.
        warn: Is told, once for each tracker, that it broke.
    """

    def __init__(self, options: Sequence[Any], run: TrackedRun, warn: Callable[[str], None]):
        self._options = options
        self._run = run
        self._warn = warn
        self._open: dict[str, Tracker] = {}
        self._told: set[tuple[str, int]] = set()
        self._pending: list[Row] = []
        self._handed = float("-inf")  # seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status: Status = "finished"
        if error is not None:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        self._end(status, (str(error) or type(error).__name__) if error is not None else None)

    def ready(self) -> None:
        """Finds out, before anything is loaded or trained, whether every tracker can start.

        Raises:
            DistillError: One cannot.
        """
        for options in self._options:
            with _starting(options):
                options.ready()

    def start(self) -> None:
        """Begins the run with every tracker.

        Raises:
            DistillError: One cannot start; the run is over for the others as well.
        """
        for options in self._options:
            with _starting(options):
                self._open[options.name] = trackers.find(options.name).factory(options, self._run)

    def epoch(self, row: Row) -> None:
        """Tells of an epoch that ended."""
        self._note([row])
        if time.monotonic() - self._handed >= _SECONDS_BETWEEN_CALLS:
            self._hand_over()

    def network(self, history: Iterable[Row]) -> None:
        """Tells of all epochs of a network, of which some or all may be known."""
        self._note(history)
        self._hand_over()

    def result(self, rows: Sequence[Row], files: Iterable[Path]) -> None:
        """Tells of the results, and of those of the files that are there."""
        there = [path for path in files if path.is_file()]
        self._each(lambda tracker: tracker.result(rows, there))

    def _note(self, rows: Iterable[Row]) -> None:
        for row in rows if self._open else ():
            key = (row["role"], row["epoch"])
            if key not in self._told:
                self._told.add(key)
                self._pending.append(row)

    def _hand_over(self) -> None:
        rows, self._pending = self._pending, []
        if rows:
            self._each(lambda tracker: tracker.log(rows))
            self._handed = time.monotonic()

    def _end(self, status: Status, error: str | None) -> None:
        self._hand_over()
        self._each(lambda tracker: tracker.close(status, error))
        self._open = {}

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            try:
                call(tracker)
            except Exception as error:  # whatever a program of somebody else, or the network, may raise
                del self._open[name]
                self._warn(f"tracker={name} broke ({_first_line(error)}); the run goes on without it.")
                with suppress(Exception):
                    tracker.close("failed", str(error))


class _starting:
    """Makes a sentence of whatever keeps a tracker from starting."""

    def __init__(self, options: TrackerOptions):
        self._name = options.name

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, DistillError):
            raise DistillError(
                f"tracker={self._name} cannot start: {_first_line(error)}; leave it out, or look at its options with "
                f"`distill list trackers {self._name}`."
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().partition("\n")[0].rstrip(".")
