"""Rows as one data frame, and the settings that tell its runs apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from distill.results.columns import COLUMNS, missing, shown

Rows = pd.DataFrame | Sequence[Mapping[str, Any]]
SETTINGS = ("dataset", "method", "model", "T", "alpha", "precision", "seed")


def frame(rows: Rows) -> pd.DataFrame:
    """Rows of any number of runs as a data frame with the columns of `results.csv`, in their order.

    Numbers are float64 with NaN where empty, texts are strings, empty where empty, and flags are bool.
    Keys that are not columns follow behind, as text.
    """
    if isinstance(rows, pd.DataFrame):
        return rows
    names = list(dict.fromkeys([*COLUMNS, *(key for row in rows for key in row)]))
    return pd.DataFrame({name: _series(name, [row.get(name) for row in rows]) for name in names})


def _series(name: str, cells: list[Any]) -> pd.Series:
    kind = COLUMNS[name].kind if name in COLUMNS else "text"
    if kind == "flag":
        return pd.Series([not missing(cell) and bool(cell) for cell in cells], dtype=bool)
    if kind == "text":
        return pd.Series(["" if missing(cell) else str(cell) for cell in cells], dtype=object)
    return pd.Series([None if cell == "" else cell for cell in cells], dtype="float64")


def records(df: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a data frame as mappings by column."""
    names = [str(name) for name in df.columns]
    columns = [df.iloc[:, place].tolist() for place in range(len(names))]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def students(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of distilled students, finished or not."""
    return df[df["role"] == "student"]


def is_finished(df: pd.DataFrame) -> pd.Series:
    """Which rows stand for networks that were measured to the end."""
    return df["status"].isin(["", "finished"])


def unique(df: pd.DataFrame) -> pd.DataFrame:
    """Joined runs with every teacher, baseline and other shared network once, known by its signature.

    A key that the runs sharing a network set differently did not matter to it, and is emptied in its row.
    Students stay, one per run: a row of its own shows each job of a sweep.
    """
    shared = (df["role"] != "student") & (df["signature"] != "")
    # The run that trained a network is kept rather than one that reused it.
    again = df.sort_values("reused", kind="stable").duplicated(["role", "signature"]).reindex(df.index)
    kept = df[~(shared & again)].copy()
    for key in (name for name in df.columns if name not in COLUMNS or name in ("T", "alpha", "seed")):
        values = df[shared].groupby(["role", "signature"])[key].transform("nunique", dropna=False)
        where = values.index[values > 1].intersection(kept.index)
        kept.loc[where, key] = "" if key not in COLUMNS else float("nan")
    return kept.reset_index(drop=True)


def varying(df: pd.DataFrame, *, seed: bool = False) -> list[str]:
    """The keys in which the students of the joined runs differ.

    Args:
        df: Rows of all runs.
        seed: Whether `seed` counts as such a key.

    Returns:
        Columns of `df`: overridden keys by their own name, else columns of `results.csv`. `model` is left out
        where an overridden `model@...` says the same.
    """
    found = students(df)
    keys = [key for key in (*SETTINGS, *(name for name in df.columns if name not in COLUMNS)) if key in found]
    different = [key for key in keys if (seed or key != "seed") and _values(found, key).nunique(dropna=False) > 1]
    if "model" in different and "model@student" in different:
        different.remove("model")
    return different


def _values(found: pd.DataFrame, key: str) -> pd.Series:
    if key not in COLUMNS:
        return found[key]
    # A job that did not finish may not have known yet what this was; that is no value of its own.
    return found.loc[is_finished(found) | is_filled(found[key]), key]


def setting(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The setting of a row in words: `T=4, alpha=0.9`; keys that it lacks are left out."""
    return ", ".join(f"{key}={shown(key, row[key])}" for key in keys if not missing(row[key]))


def order(df: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Sorts rows by keys, those that hold numbers by size; rows that lack a key come first."""
    ranks = pd.DataFrame({key: numeric(df[key]) if is_numeric(df[key]) else df[key] for key in keys}, index=df.index)
    return df.loc[ranks.sort_values(list(keys), kind="stable", na_position="first").index] if keys else df


def is_numeric(cells: pd.Series) -> bool:
    """Whether every non-empty cell is a number, and one at least is there."""
    filled = cells[is_filled(cells)]
    return len(filled) > 0 and bool(numeric(filled).notna().all())


def is_filled(cells: pd.Series) -> pd.Series:
    """Which cells are not empty."""
    return cells.notna() & (cells != "")


def numeric(cells: pd.Series) -> pd.Series:
    """Cells as float64; NaN for those that are empty or not numbers."""
    return pd.to_numeric(cells, errors="coerce").astype("float64")
