"""The jobs of a sweep that run in other processes: telling of them, and stopping them."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from distill.experiments.job import LOG, STOPPED
from distill.files import write_text
from distill.results import process
from distill.results.measures import score

_SECONDS_BETWEEN_LOOKS = 0.3
_STYLES = {"finished": "green", "failed": "red", "interrupted": "yellow"}


class Workers:
    """Watches the folder of a sweep, which is all that every launcher's workers share with the command.

    Jobs that run in this process are left out: they speak for themselves.

    Args:
        folder: Of the sweep.
        console: Where to tell: one line when a job begins, one when it ends.
        queued: Whether the jobs belong to a cluster, which alone may stop them.
    """

    def __init__(self, folder: Path, console: Console, queued: bool = False):
        self._folder = folder
        self._queued = queued
        self._stopped = folder / STOPPED
        self._stopped.unlink(missing_ok=True)
        self._console = console
        self._told: dict[str, tuple[str, Any]] = {}
        self._announced = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="workers", daemon=True)
        for name, facts in self._jobs():  # what an earlier command left is no news
            self._told[name] = _state(facts)

    def start(self) -> None:
        """Begins to tell."""
        self._thread.start()

    def finish(self) -> None:
        """Tells what is left to tell, and ends."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look()

    @property
    def stopped(self) -> int | None:
        """The signal that a worker was stopped by."""
        return int(self._stopped.read_text(encoding="utf-8")) if self._stopped.exists() else None

    def stop(self, number: int) -> int:
        """Lets no more jobs begin, and asks those that run on this machine to save and stop; returns how many do.

        Args:
            number: The signal that the command got.
        """
        if not self._folder.is_dir():
            return 0
        write_text(self._stopped, str(int(number)))
        if self._queued:
            return 0
        asked = 0
        for _, facts in self._jobs():
            # A record that a killed sweep left may name a number that is somebody else's by now.
            if facts["status"] == "running" and process.is_alive(facts.get("process")):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(facts["process"]["pid"], signal.SIGTERM)
                    asked += 1
        return asked

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_LOOKS):
            self._look()

    def _look(self) -> None:
        for name, facts in self._jobs():
            if self._told.get(name) == _state(facts):
                continue
            self._told[name] = _state(facts)
            if not self._announced:
                self._announced = True
                where = os.path.relpath(self._folder)
                self._console.print(f"Each job writes to {LOG} in its folder in {where}.", style="dim", soft_wrap=True)
            self._console.print(self._line(name, facts), soft_wrap=True)

    def _jobs(self) -> list[tuple[str, dict[str, Any]]]:
        found = []
        for path in sorted(self._folder.glob("*/run.json")):
            with suppress(OSError, ValueError):  # it may be a folder that is being removed
                facts = json.loads(path.read_text(encoding="utf-8"))
                if facts.get("process") != process.this():
                    found.append((path.parent.name, facts))
        return found

    def _line(self, name: str, facts: dict[str, Any]) -> Text:
        number, status = name.partition("_")[0], facts["status"]
        setting = "  ".join(f"{key}={value}" for key, value in facts.get("overrides", {}).items())
        line = Text.assemble((f"job {number}", "bold"), f"  {setting}  ")
        if status == "running":
            return line.append("began", "dim")
        line.append(status, _STYLES.get(status, ""))
        if status == "failed":
            return line.append(f"  {facts['error']}")
        reached = _reached(self._folder / name / "results.csv")
        told = f"  student {reached:.2%}" if reached is not None else ""
        return line.append(f"{told}  {facts['seconds']:.1f} s")


def _state(facts: dict[str, Any]) -> tuple[str, Any]:
    return facts["status"], facts.get("started")


def _reached(path: Path) -> float | None:
    with suppress(OSError, ValueError, KeyError), path.open(encoding="utf-8", newline="") as file:
        return next((score(row) for row in csv.DictReader(file) if row["role"] == "student"), None)
    return None
