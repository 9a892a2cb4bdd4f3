"""The results as a page of GitHub Markdown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from distill.results.collect import Collected
from distill.results.columns import COLUMNS, missing, shown, trained_in
from distill.results.frame import records, varying
from distill.results.seeds import groups, several_seeds
from distill.results.terminal import arranged, reasons
from distill.results.unseen import told

MEASURES = (
    "accuracy",
    "gain",
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


def page(found: Collected, sentence: str, plots: Sequence[Path], folder: Path) -> str:
    """A report of joined runs: verdict, tables, plots, the runs with their commands, what the columns mean.

    Args:
        found: The runs.
        sentence: The verdict.
        plots: Pictures to show.
        folder: Where the page will lie; links are relative to it.
    """
    keys = varying(found.rows, seed=True)
    df = arranged(found.rows)
    title = found.folders[0].name if len(found.folders) == 1 else f"{len(found.folders)} runs"
    parts = [f"# distill: {title}", sentence, _networks(df, keys)]
    if several_seeds(found.rows):
        parts += ["## Over seeds", "Mean ± standard error; the gain is paired by seed.", _seeds(found.rows)]
    lines = told(found.runs[0]) if len(found.runs) == 1 else []
    if lines:
        parts += ["## Classes that were not shown", "\n".join(f"- {_escaped(line)}" for line in lines)]
    unfinished = reasons(found.rows)
    if unfinished:
        lines = [f"- {_escaped(reason)} ({_escaped(', '.join(runs))})" for reason, runs in unfinished.items()]
        parts += ["## Not finished", "\n".join(lines)]
    parts += [f"![{plot.stem.replace('_', ' ')}]({_link(plot, folder)})" for plot in plots]
    parts += ["## Runs", _runs(found, folder), "## Columns", _legend(["seed", *MEASURES])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _networks(df: pd.DataFrame, keys: Sequence[str]) -> str:
    rows = records(df)
    names = ["role", "model", *(key for key in keys if key != "model"), *MEASURES]
    columns = {name: [_cell(name, row) for row in rows] for name in names}
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    numbers = [name in MEASURES or (name in COLUMNS and COLUMNS[name].kind != "text") for name in columns]
    return _table([_heading(name) for name in columns], list(zip(*columns.values(), strict=True)), numbers)


def _cell(name: str, row: Mapping[str, Any]) -> str:
    if name == "accuracy" and row["status"] not in ("", "finished"):
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


def _seeds(df: pd.DataFrame) -> str:
    keys = [key for key in varying(df) if key != "model"]
    body = [
        [
            group.role,
            group.model,
            *(shown(key, group.rows[key].iloc[0]) for key in keys),
            str(group.accuracy.n),
            group.accuracy.shown(100.0),
            group.gain.shown(sign=True),
        ]
        for group in groups(df)
    ]
    header = ["role", "model", *keys, "n", "accuracy (%)", "gain (points)"]
    return _table(header, body, [False, False, *(True for _ in keys), True, True, True])


def _runs(found: Collected, folder: Path) -> str:
    body = []
    for place, run in zip(found.folders, found.runs, strict=True):
        curves = place / "curves.png"
        body.append(
            [
                f"[{place.name}]({_link(place, folder)})",
                run["status"],
                f"{run['seconds']:,.1f} s" if isinstance(run.get("seconds"), int | float) else "",
                f"`{run['command']}`" if run.get("command") else "",
                f"[curves]({_link(curves, folder)})" if curves.exists() else "",
            ]
        )
    return _table(["run", "status", "took", "command", ""], body, [False, False, True, False, False])


def _legend(names: Sequence[str]) -> str:
    return "\n".join(f"- {_heading(name)}: {COLUMNS[name].meaning}" for name in names)


def _table(header: Sequence[str], body: Sequence[Sequence[str]], numbers: Sequence[bool]) -> str:
    lines = [header, ["---:" if number else "---" for number in numbers], *body]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _link(path: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(path, folder)).as_posix())
