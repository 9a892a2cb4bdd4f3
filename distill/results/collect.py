"""Joins what runs left in their folders."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distill.errors import DataError, DistillError
from distill.results.columns import COLUMNS
from distill.results.defaults import varying_overrides
from distill.results.find import find_runs, names
from distill.results.frame import frame
from distill.results.records import Records
from distill.results.repeats import Ran, repeats
from distill.results.rows import Row, read_csv
from distill.results.sweeps import shortfall

_AT_ONCE = 1500  # rows that are held as mappings, which take many times the memory of columns


@dataclass(frozen=True)
class Collected:
    """What a number of runs left behind.

    Attributes:
        rows: One row per network and run, a row also for a student that never finished. Columns of
            `results.csv`, then one per overridden key that varies between the runs.
        runs: The runs' metadata, as in `run.json` without what is long, and in the same order their `folders`.
        folders: The run folders.
        warnings: One sentence per file that could not be used, kind of run left out, and sweep that lacks jobs.
    """

    rows: pd.DataFrame
    runs: list[dict[str, Any]]
    folders: list[Path]
    warnings: list[str] = field(default_factory=list)


def collect(paths: Sequence[Path]) -> Collected:
    """Reads and joins all runs at or below some paths; one that repeats another counts once.

    Args:
        paths: As for `find_runs`.

    Raises:
        DistillError: As `find_runs`, or no run among those found could be read.
    """
    found = find_runs(paths)
    records, table = Records(), _Table()
    warnings: list[str] = []
    ran: list[Ran] = []
    for folder, name in zip(found, names(found), strict=True):
        try:
            facts = records.read(folder)
        except DataError as error:
            warnings.append(f"Skipped {folder}: {error}")
            continue
        rows = _rows(folder, facts, warnings)
        table.add(({**row, "run": name} for row in rows), len(ran))
        ran.append(Ran(folder, name, facts, _signatures(rows)))
    if not ran:
        raise DistillError(" ".join(warnings))
    left, told = repeats(ran)
    kept = [place for place in range(len(ran)) if place not in left]
    runs = [{**ran[place].facts, "run": ran[place].name} for place in kept]
    warnings += [*told, *_shortfalls(paths, ran)]
    folders = [ran[place].folder for place in kept]
    return Collected(table.frame(kept, varying_overrides(runs, folders)), runs, folders, warnings)


def details(folder: Path) -> dict[str, Any]:
    """What was measured of one run's networks beyond numbers, as in `details.json`; empty where it cannot be read."""
    try:
        found = json.loads((folder / "details.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def metrics(folder: Path) -> pd.DataFrame:
    """How the networks of one run learned, a row per role and epoch; no rows where it cannot be read."""
    try:
        found = pd.read_csv(folder / "metrics.csv")
    except (OSError, ValueError):  # ValueError: all that pandas has to say of a damaged file
        return pd.DataFrame({"role": [], "epoch": []})
    return found if {"role", "epoch"} <= set(found.columns) else found.iloc[:0].reindex(columns=["role", "epoch"])


class _Table:
    """Rows of any number of runs, held as typed columns."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._owner: list[int] = []
        self._parts: list[pd.DataFrame] = []

    def add(self, rows: Iterable[Row], run: int) -> None:
        """Adds the rows of a run."""
        for row in rows:
            # Most texts are the same in every run.
            self._rows.append({key: sys.intern(cell) if type(cell) is str else cell for key, cell in row.items()})
            self._owner.append(run)
        if len(self._rows) >= _AT_ONCE:
            self._pack()

    def frame(self, kept: Sequence[int], overrides: Mapping[str, Sequence[str]]) -> pd.DataFrame:
        """The rows of those runs that are kept, with a column for each of some keys, whose values are by run."""
        self._pack()
        df = pd.concat(self._parts, ignore_index=True)
        added = [name for name in df.columns if name not in COLUMNS]
        df[added] = df[added].fillna("")
        owner = np.array(self._owner)
        df = df[np.isin(owner, kept)].reset_index(drop=True)
        place = np.searchsorted(np.array(kept), owner[np.isin(owner, kept)])
        for key, values in overrides.items():
            df[key] = pd.Series(np.array(values, dtype=object)[place], dtype=object)
        return df

    def _pack(self) -> None:
        if self._rows or not self._parts:
            self._parts.append(frame(self._rows))
            self._rows = []


def _signatures(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    found = tuple((str(row["role"]), str(row.get("signature") or "")) for row in rows)
    return found if all(signature for _, signature in found) else ()


def _shortfalls(paths: Sequence[Path], ran: Sequence[Ran]) -> list[str]:
    """What is missing of the sweeps that were asked for as a whole."""
    asked = [os.path.realpath(path) for path in paths]
    sweeps = {one.folder.parent: False for one in ran if one.facts.get("sweep") is not False}
    for one in ran:
        if one.folder.parent in sweeps and one.facts["status"] == "running":
            sweeps[one.folder.parent] = True
    whole = [
        folder
        for folder in sweeps
        if any(os.path.commonpath([path, os.path.realpath(folder)]) == path for path in asked)
    ]
    return [sentence for folder in whole for sentence in shortfall(folder, running=sweeps[folder])]


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
    return rows


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
