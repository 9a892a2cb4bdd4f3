"""The results as a page of GitHub Markdown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from distill.errors import DataError
from distill.results import fields, grouped
from distill.results.collect import Collected
from distill.results.columns import COLUMNS, missing, shown, trained_in
from distill.results.frame import records, varying
from distill.results.grouping import Grouping
from distill.results.layout import Field
from distill.results.measures import measure_of
from distill.results.records import read
from distill.results.study import Study
from distill.results.terminal import arranged, reasons
from distill.results.unseen import told

MEASURES = (
    "accuracy",
    "r2",
    "gain",
    "rmse",
    "recovered",
    "params",
    "compression",
    "size_mb",
    "flops",
    "latency_ms",
    "agreement",
    "nll",
    "ece",
    "seconds",
)
_MOST_ROWS = 100  # of single networks; a longer table is no reading matter
_MOST_NAMES = 5


def page(
    found: Collected, outcome: Study, plots: Sequence[Path], folder: Path, grouping: Grouping | None = None
) -> str:
    """A report of joined runs: verdict, tables, plots, the runs with their commands, what the columns mean.

    Args:
        found: The runs.
        outcome: What they show together.
        plots: Pictures to show.
        folder: Where the page will lie; links are relative to it.
        grouping: A table that the user asked for, which comes first.
    """
    title = found.folders[0].name if len(found.folders) == 1 else f"{len(found.folders):,} runs"
    parts = [f"# distill: {title}", outcome.sentence, _list([*outcome.warnings, *found.warnings])]
    if grouping is not None:
        table, about = grouped.table(grouping)
        parts += _section("As asked", about, table)
    if outcome.several_seeds or len(outcome.groups) > 3:
        parts += _section("Settings", fields.about_settings(outcome), _settings(outcome))
    if len(outcome.comparisons) > 1:
        parts += _section("Compared with each other", "Paired by seed.", fields.comparisons(fields.over_seeds(outcome)))
    df = arranged(found.rows)
    if len(df) <= _MOST_ROWS:
        parts += ["## Networks", _networks(df, varying(found.rows, seed=True))]
    if len(found.folders) == 1:
        parts += _unseen(found.folders[0])
    parts += _unfinished(found.rows)
    parts += [f"![{plot.stem.replace('_', ' ')}]({_link(plot, folder)})" for plot in plots]
    parts += ["## Runs", _runs(found, folder), "## Columns", _legend(found.rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, about: str, table: Sequence[Field]) -> list[str]:
    return [f"## {title}", _fields(table), about] if table else []


def _settings(outcome: Study) -> list[Field]:
    # Unlike on a terminal, where it may give way, the column of the model is always there.
    return [field for field in fields.settings(outcome) if field.heading != "model@student"]


def _fields(table: Sequence[Field]) -> str:
    header = [field.heading.replace("\n", " (", 1) + ")" * ("\n" in field.heading) for field in table]
    body = [
        [f"**{cell.plain}**" if cell.style == fields.BOLD and cell.plain else cell.plain for cell in row]
        for row in zip(*(field.cells for field in table), strict=True)
    ]
    return _table(header, body, [not field.text for field in table])


def _networks(df: pd.DataFrame, keys: Sequence[str]) -> str:
    rows = records(df)
    names = ["role", "model", *(key for key in keys if key != "model"), *MEASURES]
    by = measure_of(df).name
    columns = {name: [_cell(name, row, by) for row in rows] for name in names}
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    numbers = [name in MEASURES or (name in COLUMNS and COLUMNS[name].kind != "text") for name in columns]
    return _table([_heading(name) for name in columns], list(zip(*columns.values(), strict=True)), numbers)


def _cell(name: str, row: Mapping[str, Any], by: str) -> str:
    if name == by and row["status"] not in ("", "finished"):
        return f"**{row['status']}**"
    if name == "seconds":
        return trained_in(row["seconds"], row["reused"])
    if name == "compression" and not missing(row[name]):
        return f"{shown(name, row[name])}x"
    return shown(name, row[name])


def _heading(name: str) -> str:
    column = COLUMNS.get(name)
    if column is None:
        return name
    return column.heading if column.unit in ("", "x") or name == "seconds" else f"{column.heading} ({column.unit})"


def _unseen(folder: Path) -> list[str]:
    try:
        lines = told(read(folder))
    except DataError:
        return []  # it could be read when the run was collected, and is gone since
    return ["## Classes that were not shown", _list(lines)] if lines else []


def _unfinished(df: pd.DataFrame) -> list[str]:
    lines = []
    for reason, runs in reasons(df).items():
        more = f" and {len(runs) - _MOST_NAMES:,} more" if len(runs) > _MOST_NAMES else ""
        lines.append(f"{reason} ({', '.join(runs[:_MOST_NAMES])}{more})")
    return ["## Not finished", _list(lines)] if lines else []


def _runs(found: Collected, folder: Path) -> str:
    commands = {str(run.get("command") or "") for run in found.runs}
    one = next(iter(commands)) if len(commands) == 1 else ""
    body = []
    for place, run in list(zip(found.folders, found.runs, strict=True))[:_MOST_ROWS]:
        curves = place / "curves.png"
        body.append(
            [
                f"[{place.name}]({_link(place, folder)})",
                run["status"],
                f"{run['seconds']:,.1f} s" if isinstance(run.get("seconds"), int | float) else "",
                f"`{run['command']}`" if run.get("command") and not one else "",
                f"[curves]({_link(curves, folder)})" if curves.exists() else "",
            ]
        )
    more = len(found.folders) - len(body)
    parts = [
        f"All by `{one}`" if one and len(found.runs) > 1 else f"`{one}`" if one else "",
        _filled(["run", "status", "took", "command", ""], body, [False, False, True, False, False]),
        f"These are the first; there are {more:,} more." if more else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _filled(header: Sequence[str], body: Sequence[Sequence[str]], numbers: Sequence[bool]) -> str:
    """A table without its empty columns."""
    kept = [place for place in range(len(header)) if any(row[place] for row in body)]
    rows = [[row[place] for place in kept] for row in body]
    return _table([header[place] for place in kept], rows, [numbers[place] for place in kept])


def _legend(df: pd.DataFrame) -> str:
    shown_there = [name for name in ("seed", *MEASURES) if df[name].notna().any()]
    return _list([f"{_heading(name)}: {COLUMNS[name].meaning}" for name in shown_there])


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(line)}" for line in lines)


def _table(header: Sequence[str], body: Sequence[Sequence[str]], numbers: Sequence[bool]) -> str:
    lines = [header, ["---:" if number else "---" for number in numbers], *body]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _link(path: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(path, folder)).as_posix())
