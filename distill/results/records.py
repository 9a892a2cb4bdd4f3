"""What each run recorded of itself in `run.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distill.errors import DataError
from distill.results.find import RECORD
from distill.results.process import is_alive

# Of thousands of runs these would fill the memory; `read` gives them for one.
_ONLY_OF_ONE = ("class_accuracy", "unseen", "words")
_ALIKE = ("command", "dataset", "device", "directory", "git", "places", "process", "versions")


def read(folder: Path) -> dict[str, Any]:
    """The whole record of a run; one whose process is gone is called interrupted.

    Raises:
        DataError: There is none that can be read.
    """
    run = _read(folder / RECORD)
    if run["status"] == "running" and is_alive(run.get("process")) is False:
        run = _read(folder / RECORD)  # it may have come to its end between the first look and the second
    if run["status"] == "running" and is_alive(run.get("process")) is False:
        run |= {"status": "interrupted", "error": "its process ended without a word, as one does that is killed"}
    return {"error": None, **run}


class Records:
    """Reads the records of many runs, and keeps what they have in common once."""

    def __init__(self) -> None:
        self._shared: dict[str, Any] = {}

    def read(self, folder: Path) -> dict[str, Any]:
        """The record of a run without what is long and of interest in a single run alone.

        Raises:
            DataError: There is none that can be read.
        """
        run = {name: value for name, value in read(folder).items() if name not in _ONLY_OF_ONE}
        for name in _ALIKE:
            if name in run:
                run[name] = self._shared.setdefault(json.dumps(run[name]), run[name])
        return run


def _read(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if not isinstance(run, dict) or not isinstance(run.get("status"), str):
        raise DataError(f"{path} is not the record of a run: it names no status.")
    overrides = run.get("overrides")
    return {**run, "overrides": overrides if isinstance(overrides, dict) else {}}
