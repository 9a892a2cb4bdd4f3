"""What was measured of a few networks, in two tables: what they reach and cost, and how well they know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from distill.results.cells import ROLE_STYLES
from distill.results.columns import COLUMNS, missing, shown
from distill.results.layout import ESSENTIAL, Field, show
from distill.results.terminal import print_run

# The first are the last that a narrow terminal gives up.
_ANSWERS = (
    "val_r2",
    "val_rmse",
    "nll",
    "ece",
    "brier",
    "kl",
    "agreement",
    "agreement_wrong",
    "top5",
    "ece_scaled",
    "temperature",
    "accuracy_head",
    "accuracy_mid",
    "accuracy_tail",
)
_SPEED = ("latency_ms", "latency_p99_ms", "throughput_batch", "batch", "latency_batch_ms", "precision")


def print_measured(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints a few networks.

    Args:
        rows: As `complete` returns them.
        console: Where to; columns that do not fit its width are left out, least important first.
    """
    print_run(rows, console)
    for columns in (_ANSWERS, _SPEED):
        fields = _fields(rows, columns)
        if fields:
            show([_roles(rows), *fields], console)


def _roles(rows: Sequence[Mapping[str, Any]]) -> Field:
    return Field("", [Text(row["role"], ROLE_STYLES.get(row["role"], "")) for row in rows], ESSENTIAL)


def _fields(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[Field]:
    fields = []
    for weight, name in enumerate(reversed(columns)):
        column = COLUMNS[name]
        cells = [Text(shown(name, row.get(name))) for row in rows]
        if any(not missing(row.get(name)) for row in rows):
            heading = f"{column.heading}\n{column.unit}" if column.unit else column.heading
            fields.insert(0, Field(heading, cells, weight, text=column.kind == "text"))
    return fields
