"""How far runs and sweeps are, read from their folders again and again with as few looks at the disk as possible."""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from distill.errors import DataError, DistillError
from distill.results import process, progress, sweeps
from distill.results.find import RECORD
from distill.results.measures import Measure, known_score, measure_for, score
from distill.results.rows import read_csv

State = Literal["running", "finished", "failed", "interrupted", "unreadable"]

_RECIPE = "multirun.yaml"
_ELSEWHERE = {"store", "cache", "tracking", "checkpoints"}
_DEPTH = 3  # folders above a run or a sweep, from the one that is given
_STARTING = 120.0  # seconds that a sweep may take until its first job has begun
_SILENT = 600.0  # seconds without a sign after which a run on another machine passes for one that ended
_RECENT = 20  # finished jobs that tell how long the next ones will take


@dataclass
class Job:
    """One run.

    Attributes:
        folder: Of the run.
        facts: Its `run.json`.
        state: How it stands; a run whose process is gone is interrupted, one with a damaged `run.json` unreadable.
        progress: Its `progress.json`, while it trains.
        test: Accuracy of its student on test examples, 0..1, once it is finished.
        stamp: When `run.json` was written, as it was read last.
    """

    folder: Path
    facts: dict[str, Any]
    state: State
    progress: dict[str, Any] | None = None
    test: float | None = None
    stamp: float = 0.0

    @property
    def number(self) -> int:
        """Of a job in its sweep; 0 for a run of its own."""
        found = re.match(r"\d+(?=_|$)", self.folder.name) if self.facts.get("sweep") else None
        return int(found[0]) if found else 0

    @property
    def val(self) -> float | None:
        """Accuracy of its student on validation examples, 0..1, once it is finished."""
        return known_score(self.facts, "val") if self.state == "finished" else None

    @property
    def overrides(self) -> dict[str, str]:
        """What it was asked for."""
        return self.facts.get("overrides") or {}


@dataclass(frozen=True)
class Best:
    """The setting that did best so far.

    Attributes:
        jobs: Its finished jobs, which differ in their seed alone.
        val: Their mean accuracy on validation examples, 0..1, if it is known of all.
        test: The same on test examples.
    """

    jobs: list[Job]
    val: float | None
    test: float | None


@dataclass
class Group:
    """A sweep, or a run of its own.

    Attributes:
        folder: Of the sweep or run.
        sweep: Which of the two.
        total: Jobs that were asked for, if that can be told.
        jobs: Those that have begun, by number.
        stack: Progress of the training of many networks as one, before the jobs begin.
        active: Whether something runs.
    """

    folder: Path
    sweep: bool
    total: int | None = None
    jobs: list[Job] = field(default_factory=list)
    stack: dict[str, Any] | None = None
    active: bool = False

    def count(self, state: State) -> int:
        """How many jobs stand like that."""
        return sum(job.state == state for job in self.jobs)

    @property
    def to_come(self) -> int | None:
        """Jobs that have not begun."""
        return None if self.total is None else max(0, self.total - len(self.jobs))

    @property
    def measure(self) -> Measure:
        """What its networks are compared by."""
        return measure_for(self.jobs[0].facts if self.jobs else {})

    @property
    def chosen_by(self) -> Literal["val", "test"]:
        """Which accuracy (or R2) is shown and compared: that on validation examples where there are any."""
        known = any(job.val is not None or known_score(job.progress or {}, "val") is not None for job in self.jobs)
        return "val" if known else "test"

    @property
    def best(self) -> Best | None:
        """The setting with the highest mean of it over seeds; one with half as many seeds as others may be lucky."""
        settings: dict[tuple[tuple[str, str], ...], list[Job]] = {}
        for job in self.jobs:
            if getattr(job, self.chosen_by) is not None:
                setting = tuple((key, value) for key, value in job.overrides.items() if key != "seed")
                settings.setdefault(setting, []).append(job)
        most = max(map(len, settings.values()), default=0)
        means = [
            Best(jobs, _mean([job.val for job in jobs]), _mean([job.test for job in jobs]))
            for jobs in settings.values()
            if 2 * len(jobs) > most
        ]
        return max(means, key=lambda best: getattr(best, self.chosen_by), default=None)

    @property
    def told(self) -> list[Job]:
        """The jobs whose records can be read."""
        return [job for job in self.jobs if job.state != "unreadable"]

    @property
    def common(self) -> dict[str, str]:
        """What all jobs are asked for alike: words of the command that hold one value."""
        words = {word.lstrip("+") for job in self.told[:1] for word in job.facts.get("words", ()) if self.sweep}
        return {
            key: value for job in self.told[:1] for key, value in job.overrides.items() if f"{key}={value}" in words
        }

    def seconds_left(self, now: float) -> float | None:
        """An estimate, from how long the finished jobs took; `None` where nothing can be told yet.

        Args:
            now: Seconds since 1970.
        """
        if self.stack is not None:
            return self.stack.get("seconds_left")
        running = [job for job in self.jobs if job.state == "running"]
        took = [job.facts["seconds"] for job in self.jobs if job.state == "finished" and "seconds" in job.facts]
        if not self.sweep or not took:
            return None
        usual = statistics.median(took[-_RECENT:])
        rest = sum(max(0.0, usual - (now - _started(job))) for job in running)
        return None if self.to_come is None else (rest + usual * self.to_come) / max(1, len(running))


class Folder:
    """Runs and sweeps at or below a folder; each look reads only what may have changed.

    Args:
        path: The folder.

    Raises:
        DistillError: It is not there.
    """

    def __init__(self, path: Path):
        if not path.is_dir():
            raise DistillError(
                f"There is no folder {path}: give one that holds runs, as `distill train` leaves them in outputs."
            )
        self._path = path
        self._groups: dict[Path, Group] = {}
        self._jobs: dict[Path, dict[Path, Job]] = {}
        self._stamps: dict[Path, tuple[float, float]] = {}

    def look(self) -> list[Group]:
        """All groups as they are now, oldest first."""
        for folder, sweep in _groups(self._path, _DEPTH, self._groups):
            group = self._groups.setdefault(folder, Group(folder, sweep))
            stamp = (_stamp(folder), _stamp(folder / (_RECIPE if sweep else RECORD)))
            if group.active or self._stamps.get(folder) != stamp:
                self._stamps[folder] = stamp
                self._update(group)
        return sorted(self._groups.values(), key=lambda group: group.folder.name)

    def _update(self, group: Group) -> None:
        known = self._jobs.setdefault(group.folder, {})
        for folder in _job_folders(group):
            job = known.get(folder)
            if job is None or job.state != "finished":
                self._read(folder, known, group.sweep)
        group.jobs = sorted(known.values(), key=lambda job: (job.number, job.folder.name))
        group.stack = progress.read(group.folder) if group.sweep else None
        if group.sweep and group.total is None:
            group.total = sweeps.size(group.folder)
        group.active = _is_active(group)
        if not group.active:
            group.stack = None

    def _read(self, folder: Path, known: dict[Path, Job], sweep: bool) -> None:
        stamp, job = _stamp(folder / RECORD), known.get(folder)
        if job is None or job.stamp != stamp:
            try:
                facts = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            except FileNotFoundError:  # it has not begun, or is being removed
                return
            except (OSError, ValueError):
                facts = None
            if not isinstance(facts, dict) or facts.get("status") not in get_args(State):
                facts = {"sweep": sweep, "status": "unreadable"}
            job = known[folder] = Job(folder, facts, facts["status"], stamp=stamp)
            if job.state == "finished":
                job.test = _reached(folder)
        if job.facts["status"] == "running":
            job.progress = progress.read(folder)
            alive = _lives(job.facts.get("process"), max(stamp, (job.progress or {}).get("updated", 0.0)))
            if not alive and _stamp(folder / RECORD) == stamp:  # it did not end between these two looks
                job.state, job.progress = "interrupted", None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _groups(path: Path, depth: int, known: dict[Path, Group]) -> Iterator[tuple[Path, bool]]:
    if path in known:
        yield path, known[path].sweep
    elif (path / RECORD).is_file():
        yield path, False
    elif (path / _RECIPE).is_file():
        yield path, True
    elif depth:
        with suppress(OSError), os.scandir(path) as children:
            for child in children:
                if child.is_dir() and child.name not in _ELSEWHERE and not child.name.startswith("."):
                    yield from _groups(path / child.name, depth - 1, known)


def _job_folders(group: Group) -> list[Path]:
    if not group.sweep:
        return [group.folder]
    with suppress(OSError), os.scandir(group.folder) as children:
        return [group.folder / child.name for child in children if child.is_dir() and child.name[:1].isdigit()]
    return []


def _is_active(group: Group) -> bool:
    if any(job.state == "running" for job in group.jobs):
        return True
    if not group.sweep or (group.to_come == 0 and group.stack is None):
        return False
    if group.stack is not None and _lives(group.stack.get("process"), group.stack.get("updated", 0.0)):
        return True
    # The command that began it, or one of its workers, may be about to begin the next job.
    owners = {json.dumps(job.facts.get("process"), sort_keys=True): job for job in group.jobs}
    begun = max((_stamp(group.folder / _RECIPE), *(job.stamp for job in group.jobs)))
    if not group.jobs:
        return time.time() - begun < _STARTING
    return any(process.is_alive(job.facts.get("process")) for job in owners.values())


def _lives(owner: Any, sign: float) -> bool:
    """Whether a process still runs; one of another machine does while it gives signs."""
    alive = process.is_alive(owner)
    return time.time() - sign < _SILENT if alive is None else alive


def _started(job: Job) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat(job.facts["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return job.stamp


def _stamp(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _reached(folder: Path) -> float | None:
    """Of the student; of the baseline where the method is none."""
    try:
        found = {row["role"]: score(row) for row in read_csv(folder / "results.csv")}
    except DataError:
        return None
    return found.get("student", found.get("baseline"))
