"""The results as tables on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from distill.results.cells import key, role
from distill.results.columns import COLUMNS, missing, shown, trained_in
from distill.results.frame import Rows, frame, is_finished, order, records, unique, varying
from distill.results.layout import ESSENTIAL, Field, show
from distill.results.means import print_lost, print_means
from distill.results.measures import Measure, measure_of, scores
from distill.results.seeds import roles
from distill.results.study import Study, study

# Beyond these nobody reads on: with several seeds it is the means that are read, with one the best settings.
_ROWS_BESIDE_MEANS = 30
_STUDENTS = 100
_REASONS = 10


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


def print_sweep(rows: Rows, console: Console, found: Study | None = None, table: str = "report.csv") -> None:
    """Prints one table over all runs, one of means when there are several seeds, and what weakens a conclusion.

    Args:
        rows: Of all runs, as `collect` joins them.
        console: As for `print_run`.
        found: What they show together, where it is known.
        table: The file that has the rows of a table that is too long to be read here.
    """
    everything = frame(rows)
    found = found or study(everything)
    df = arranged(everything)
    seeds = found.several_seeds
    if seeds and len(df) > _ROWS_BESIDE_MEANS:
        _remark(f"The table of {len(df):,} networks, one by one, is left out here: it is in {table}.", console)
    elif len(df):
        best = _best(df) if not seeds else df
        keys = varying(everything, seed=True)
        print_lost(show(_fields(best, keys, found), console), keys, console, table)
        if len(best) < len(df):
            _remark(f"{len(df) - len(best):,} students that reached less are left out here: {table} has all.", console)
    _print_reasons(df, console)
    if seeds:
        print_means(found, console, table)
    for warning in found.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


def _best(df: pd.DataFrame) -> pd.DataFrame:
    reached = scores(df).where(df["role"] == "student")
    worst = reached.nlargest(_STUDENTS).min()
    return df[(df["role"] != "student") | (reached >= worst)] if reached.count() > _STUDENTS else df


def _remark(sentence: str, console: Console) -> None:
    console.print(Text(sentence, "dim"))


def arranged(df: pd.DataFrame) -> pd.DataFrame:
    """Every teacher and baseline once, then the students by their varying keys, seed last."""
    keys = varying(df)
    once = unique(df)
    parts = [order(once[once["role"] == role], [*keys, "seed"]) for role in roles(df)]
    return pd.concat(parts) if parts else once


def reasons(df: pd.DataFrame) -> dict[str, list[str]]:
    """Why runs did not finish: status and reason, with the runs that it befell."""
    found: dict[str, list[str]] = {}
    for row in records(df[~is_finished(df)]):
        silent = "it has not come to its end yet" if row["status"] == "running" else "it left no reason behind"
        reason = f"{row['status']}: {row['error'] or silent}"
        found.setdefault(reason, []).append(str(row["run"]))
    return found


def jobs(runs: Sequence[str]) -> str:
    """Runs in few words: `job 3`, `jobs 0-4, 7`, or their names where they are of no sweep or of several.

    Args:
        runs: Their names; a job of a sweep is `SWEEP/NUMBER_OVERRIDES`.
    """
    split = [re.fullmatch(r"(.*)/(\d+)(_.*)?", run) for run in runs]
    if None in split or len({match[1] for match in split if match}) > 1:
        return _few(list(runs))
    numbers = sorted(int(match[2]) for match in split if match)
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    return f"job{'s' if len(numbers) > 1 else ''} {_few(['-'.join(map(str, span)) for span in spans])}"


def _few(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _fields(df: pd.DataFrame, keys: Sequence[str], found: Study | None = None) -> list[Field]:
    rows = records(df)

    def measure(name: str, weight: float, show: Callable[[Mapping[str, Any]], str] | None = None) -> Field:
        column = COLUMNS[name]
        unit = "" if column.unit in ("", "x") else f"\n{column.unit}"
        cells = [Text(show(row) if show else shown(name, row[name])) for row in rows]
        return Field(column.heading + unit, cells, weight, text=column.kind == "text")

    by_validation = found is not None and found.tried > 1 and found.by_validation
    by = measure_of(df)
    held_out = [Text(shown(by.held_out, row[by.held_out] if by_validation else None)) for row in rows]
    fields = [
        Field("", [role(row["role"]) for row in rows], ESSENTIAL + 9),
        measure("model", 35),
        *(key(name, df[name].tolist(), df["role"].tolist()) for name in keys if name != "model"),
        Field("val\n%", held_out, 75),
        Field(f"{by.title}\n%", _reached(df, by, found), ESSENTIAL + 8),
        *(measure(one, 80) for one in ("r2", "rmse") if one != by.name),
        measure("accuracy_head", 72),
        measure("accuracy_mid", 71),
        measure("accuracy_tail", 78),
        measure("forgetting", 79),
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


def _compression(row: Mapping[str, Any]) -> str:
    return "" if missing(row["compression"]) else f"{shown('compression', row['compression'])}x"


def _reached(df: pd.DataFrame, by: Measure, found: Study | None) -> list[Text]:
    winner = found.winner if found is not None and found.tried > 1 else None
    best = (df["role"] == "student") & df["run"].isin(() if winner is None else winner.rows["run"])
    return [
        Text(shown(by.name, reached), "bold" if bold else "") if finished else Text(status, "bold red")
        for reached, bold, status, finished in zip(df[by.name], best, df["status"], is_finished(df), strict=True)
    ]


def _print_reasons(df: pd.DataFrame, console: Console) -> None:
    found = reasons(df)
    for reason, runs in list(found.items())[:_REASONS]:
        console.print(Text(f"{reason} ({jobs(runs)})", "red"))
    if len(found) > _REASONS:
        console.print(Text(f"and {len(found) - _REASONS:,} more reasons", "red"))
