"""The results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from distill.results.columns import COLUMNS, missing, shown, trained_in
from distill.results.frame import Rows, frame, is_finished, is_numeric, order, records, unique, varying
from distill.results.layout import ESSENTIAL, Field, show
from distill.results.seeds import Group, groups, roles, several_seeds

ROLE_STYLES = {"teacher": "blue", "baseline": "yellow", "student": "green"}


def print_run(rows: Rows, console: Console) -> None:
    """Prints one run: a row per network, with what it reached and what it costs.

    Args:
        rows: As `complete` returns them.
        console: Where to; columns that do not fit its width are left out, least important first.
    """
    df = frame(rows)
    if len(df):
        df = pd.concat([df[df["role"] == role] for role in roles(df)])
        show(_fields(df, keys=[]), console)
    _print_reasons(df, console)


def print_sweep(rows: Rows, console: Console) -> None:
    """Prints one table over all runs, and a second one of means when there are several seeds.

    Args:
        rows: Of all runs, as `collect` joins them.
        console: As for `print_run`.
    """
    everything = frame(rows)
    df = arranged(everything)
    if len(df):
        show(_fields(df, varying(everything, seed=True)), console)
    _print_reasons(df, console)
    if several_seeds(everything):
        fields = _group_fields(groups(everything), varying(everything))
        show(fields, console, title="Mean ± standard error over seeds")


def arranged(df: pd.DataFrame) -> pd.DataFrame:
    """Every teacher and baseline once, then the students by their varying keys, seed last."""
    keys = varying(df)
    once = unique(df)
    parts = [order(once[once["role"] == role], [*keys, "seed"]) for role in roles(once)]
    return pd.concat(parts) if parts else once


def reasons(df: pd.DataFrame) -> dict[str, list[str]]:
    """Why runs did not finish: status and reason, with the runs that it befell."""
    found: dict[str, list[str]] = {}
    for row in records(df[~is_finished(df)]):
        reason = f"{row['status']}: {row['error'] or 'it left no reason behind'}"
        found.setdefault(reason, []).append(str(row["run"]))
    return found


def _fields(df: pd.DataFrame, keys: Sequence[str]) -> list[Field]:
    rows = records(df)

    def measure(name: str, weight: float, show: Callable[[Mapping[str, Any]], str] | None = None) -> Field:
        column = COLUMNS[name]
        unit = "" if column.unit in ("", "x") else f"\n{column.unit}"
        cells = [Text(show(row) if show else shown(name, row[name])) for row in rows]
        return Field(column.heading + unit, cells, weight, text=column.kind == "text")

    fields = [
        Field("", [_role(row["role"]) for row in rows], ESSENTIAL + 9),
        measure("model", 35),
        *(_key(df, key) for key in keys if key != "model"),
        Field("accuracy\n%", _accuracies(df), ESSENTIAL + 8),
        measure("gain", ESSENTIAL + 7),
        measure("recovered", 15),
        measure("params", 60),
        measure("adapters", 25, lambda row: shown("adapters", row["adapters"] or None)),
        measure("compression", 70, _compression),
        measure("size_mb", 30),
        measure("latency_ms", 20),
        measure("agreement", 40),
        measure("seconds", 10, lambda row: trained_in(row["seconds"], row["reused"])),
    ]
    fields[-1] = Field("trained\nin", fields[-1].cells, 10)
    return [field for field in fields if any(field.cells)]


def _role(role: str) -> Text:
    return Text(role, ROLE_STYLES.get(role, ""))


def _compression(row: Mapping[str, Any]) -> str:
    return "" if missing(row["compression"]) else f"{shown('compression', row['compression'])}x"


def _key(df: pd.DataFrame, key: str) -> Field:
    own = key in COLUMNS
    cells = [
        Text("default", "dim") if not own and missing(value) and role == "student" else Text(shown(key, value))
        for role, value in zip(df["role"], df[key], strict=True)
    ]
    weight = ESSENTIAL + 5 * (key == "method")  # the last of the keys that a narrow terminal has no room for
    return Field(key, cells, weight, text=not is_numeric(df[key]), shorten_heading=not own)


def _accuracies(df: pd.DataFrame) -> list[Text]:
    rows = records(df)
    reached = [row["accuracy"] for row in rows if row["role"] == "student" and not missing(row["accuracy"])]
    cells = []
    for row, finished in zip(rows, is_finished(df), strict=True):
        best = len(reached) > 1 and row["role"] == "student" and row["accuracy"] == max(reached)
        cells.append(
            Text(shown("accuracy", row["accuracy"]), "bold" if best else "")
            if finished
            else Text(row["status"], "bold red")
        )
    return cells


def _group_fields(found: Sequence[Group], keys: Sequence[str]) -> list[Field]:
    reached = [group.accuracy.mean for group in found if group.role == "student"]

    def style(group: Group) -> str:
        return "bold" if len(reached) > 1 and group.role == "student" and group.accuracy.mean == max(reached) else ""

    firsts = pd.concat([group.rows.iloc[:1] for group in found])
    fields = [
        Field("", [_role(group.role) for group in found], ESSENTIAL + 9),
        Field("model", [Text(group.model) for group in found], 35, text=True),
        *(_key(firsts, key) for key in keys if key != "model"),
        Field("n", [Text(str(group.accuracy.n)) for group in found], ESSENTIAL + 6),
        Field("accuracy\n%", [Text(group.accuracy.shown(100.0), style(group)) for group in found], ESSENTIAL + 8),
        Field("paired gain\npoints", [Text(group.gain.shown(sign=True)) for group in found], ESSENTIAL + 7),
    ]
    return [field for field in fields if any(field.cells)]


def _print_reasons(df: pd.DataFrame, console: Console) -> None:
    for reason, runs in reasons(df).items():
        console.print(Text(f"{reason} ({', '.join(runs)})", "red"))
