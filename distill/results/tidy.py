"""The report as CSV, piece by piece: a line per network, or per cell and measure where the user grouped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from distill.results.columns import missing
from distill.results.frame import records
from distill.results.grouping import Grouping
from distill.results.rows import csv_cells, csv_text

_AT_ONCE = 500  # rows that are held as mappings


def networks(df: pd.DataFrame) -> Iterator[str]:
    """Rows as `write_csv` writes them.

    Args:
        df: With the columns of `results.csv` and those of overridden keys.
    """
    header = [str(name) for name in df.columns]
    yield csv_text([header])
    for first in range(0, len(df), _AT_ONCE):
        yield csv_text(csv_cells(records(df.iloc[first : first + _AT_ONCE]), header))


def cells(found: Grouping) -> Iterator[str]:
    """A line per cell and measure, in the units of `results.csv`: accuracies 0..1, gains in points; n counts seeds."""
    keys = [key for key in found.keys if key != "role"]
    yield csv_text([["role", *keys, "metric", "networks", "n", "mean", "std", "low", "high"]])
    for cell in found.cells:
        values = [value for key, value in zip(found.keys, cell.keys, strict=True) if key != "role"]
        for name, one in zip(found.metrics, cell.measures, strict=True):
            line = [cell.role, *values, name, cell.networks, one.n, one.mean, one.std, one.low, one.high]
            yield csv_text([[_stored(value) for value in line]])


def _stored(value: Any) -> str:
    if missing(value):
        return ""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
