"""What a run itself left, to hold against what its trackers were told."""

from __future__ import annotations

import csv
from pathlib import Path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def curve(run: Path, role: str, name: str) -> list[tuple[int, float]]:
    """Epochs and values of a number in `metrics.csv`."""
    return [(int(row["epoch"]), float(row[name])) for row in table(run / "metrics.csv") if row["role"] == role]


def accuracy(run: Path) -> float:
    """Of the student in `results.csv`."""
    return next(float(row["accuracy"]) for row in table(run / "results.csv") if row["role"] == "student")
