"""Finds run folders on disk and joins what they hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from distill.config.words import did_you_mean
from distill.errors import DataError, DistillError
from distill.results.columns import COLUMNS
from distill.results.frame import frame
from distill.results.process import is_alive
from distill.results.rows import Row, read_csv

RECORD = "run.json"
NO_RUNS = {"store", "cache"}


@dataclass(frozen=True)
class Collected:
    """What a number of runs left behind.

    Attributes:
        rows: One row per network and run, a row also for a student that never finished. Columns of
            `results.csv`, then one per overridden key that varies between the runs.
        runs: The runs' metadata, as in `run.json`, and in the same order their `folders`.
        folders: The run folders.
        warnings: One sentence per file that could not be used.
    """

    rows: pd.DataFrame
    runs: list[dict[str, Any]]
    folders: list[Path]
    warnings: list[str] = field(default_factory=list)


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The run folders at or below some paths, in natural order (`2_...` before `10_...`), each once.

    Args:
        paths: Runs, sweeps, folders that hold them, or files inside a run.

    Raises:
        DistillError: A path does not exist, or there is no run at or below it.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DistillError(_absent(path))
        below = sorted(_below(path.parent if path.is_file() else path), key=_natural)
        if not below:
            raise DistillError(
                f"There is no run in {path}: a run is a folder with a {RECORD}, "
                "which `distill train` leaves under outputs/runs or outputs/sweeps."
            )
        for folder in below:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _absent(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    word = path.relative_to(folder).parts[0]
    hint = did_you_mean(word, (child.name for child in folder.iterdir()))
    return f"There is no {path}: {folder} holds no '{word}'{hint}; runs lie under outputs/runs and outputs/sweeps."


def _below(path: Path) -> Iterable[Path]:
    for folder, inside, files in os.walk(path):
        inside[:] = [name for name in inside if name not in NO_RUNS]
        if RECORD in files:
            inside.clear()
            yield Path(folder)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def collect(paths: Sequence[Path]) -> Collected:
    """Reads and joins all runs at or below some paths.

    Args:
        paths: As for `find_runs`.

    Raises:
        DistillError: As `find_runs`, or no run among those found could be read.
    """
    folders = find_runs(paths)
    rows: list[Row] = []
    read: list[tuple[Path, dict[str, Any]]] = []
    warnings: list[str] = []
    owner: list[int] = []
    for folder in folders:
        try:
            run = _record(folder)
        except DataError as error:
            warnings.append(f"Skipped {folder}: {error}")
            continue
        own = _rows(folder, run, warnings)
        rows += own
        owner += [len(read)] * len(own)
        read.append((folder, run))
    if not read:
        raise DistillError(" ".join(warnings))
    runs = [run for _, run in read]
    for key in _varying_overrides(runs):
        for row, number in zip(rows, owner, strict=True):
            row[key] = runs[number]["overrides"].get(key, "")
    return Collected(frame(rows), runs, [folder for folder, _ in read], warnings)


def _record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    run = _read(path)
    if run["status"] == "running" and is_alive(run.get("process")) is False:
        run = _read(path)  # it may have come to its end between the first look and the second
    if run["status"] == "running" and is_alive(run.get("process")) is False:
        run |= {"status": "interrupted", "error": "its process ended without a word, as one does that is killed"}
    return {"error": None, **run, "run": _name(folder)}


def _read(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if not isinstance(run, dict) or not isinstance(run.get("status"), str):
        raise DataError(f"{path} is not the record of a run: it names no status.")
    overrides = run.get("overrides")
    return {**run, "overrides": overrides if isinstance(overrides, dict) else {}}


def _name(folder: Path) -> str:
    # Two sweeps both have a job `0_...`; the folder above tells them apart.
    return f"{folder.parent.name}/{folder.name}" if folder.parent.parent.name == "sweeps" else folder.name


def _rows(folder: Path, run: dict[str, Any], warnings: list[str]) -> list[Row]:
    path = folder / "results.csv"
    finished = run["status"] == "finished"
    rows: list[Row] = []
    if finished or path.exists():
        try:
            rows = read_csv(path)
        except DataError as error:
            warnings.append(f"Skipped the results of {folder}: {error}")
    if not finished:
        rows = [row for row in rows if row["role"] != "student"]
        rows.append(_unfinished(run))
    return [{**row, "run": run["run"]} for row in rows]


def _unfinished(run: dict[str, Any]) -> Row:
    row: Row = {"role": "student", "status": run["status"], "error": run["error"], "seed": run.get("seed")}
    dataset = run.get("dataset")
    row["dataset"] = dataset.get("name") if isinstance(dataset, dict) else None
    for key, value in run["overrides"].items():
        column = COLUMNS.get(key)
        if column is None or key in ("run", "status", "error"):
            continue
        try:
            row[key] = value if column.kind == "text" else float(value)
        except ValueError:
            # What the user asked for was no number; the error says so.
            row[key] = None
    return row


def _varying_overrides(runs: Sequence[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for run in runs for key in run["overrides"] if key not in COLUMNS)
    return [key for key in keys if len({run["overrides"].get(key) for run in runs}) > 1]
