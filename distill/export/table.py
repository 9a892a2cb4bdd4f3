"""The exported files of a run beside the network they were made of: on the terminal, and as `exports.csv`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from distill.results.columns import missing, size
from distill.results.layout import ESSENTIAL, Field, show
from distill.results.rows import read_csv, write_csv


def print_rows(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints the network itself, then a row per file.

    Args:
        rows: Of `exports.csv`, all of one network.
        console: Where to; columns that do not fit its width are left out, least important first.
    """
    first = rows[0]
    own = {name.removeprefix("original_"): value for name, value in first.items() if name.startswith("original_")}
    lines = [{"file": first["role"], **own}, *rows]

    def column(heading: str, name: str, weight: float, show: Callable[[Any], str]) -> Field:
        cells = [Text("" if missing(line.get(name)) else show(line[name])) for line in lines]
        return Field(heading, cells, weight, text=name == "file")

    fields = [
        column("", "file", ESSENTIAL + 9, lambda path: Path(path).name),
        column("accuracy\n%", "accuracy", ESSENTIAL + 8, lambda share: f"{100 * share:.2f}"),
        column("change\npoints", "change", ESSENTIAL + 7, lambda points: f"{points:+.2f}"),
        column("answers\nchanged", "changed", 70, lambda number: f"{number:,}"),
        column("logits\noff by", "difference", 75, lambda distance: f"{distance:.1e}"),
        column("size", "size_mb", ESSENTIAL + 6, size),
        column("latency\nms", "latency_ms", ESSENTIAL + 5, lambda time: f"{time:,.3f}"),
        column(f"batch {first['batch']}\nms", "latency_batch_ms", ESSENTIAL + 4, lambda time: f"{time:,.3f}"),
    ]
    show([field for field in fields if any(field.cells)], console)


def record(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Adds rows to `exports.csv`; one of a file that was there already takes the place of the old one.

    Raises:
        DataError: What stands there is no such table.
    """
    new = {row["file"] for row in rows}
    old = [row for row in read_csv(path) if row.get("file") not in new] if path.exists() else []
    return write_csv([*old, *rows], path, columns=())
