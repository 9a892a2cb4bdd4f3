"""Networks on shifted data, before and after they adapted to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from distill.results.cells import role
from distill.results.columns import missing, shown
from distill.results.layout import ESSENTIAL, Field, show

Row = Mapping[str, Any]


def print_shifted(rows: Sequence[Row], console: Console) -> None:
    """Prints a line for each network and shift, and what adaptation did.

    Args:
        rows: Of networks on clean and on shifted data, told apart by `shift`, `severity` and `adapt`.
        console: Where to; columns that do not fit its width are left out, least important first.
    """
    lines = _lines(rows)
    roles = [role(clean["role"]) for clean, _, _ in lines]
    shifts = [Text(_shift(before, after)) for _, before, after in lines]
    fields = [
        Field("", roles, ESSENTIAL + 9),
        Field("shift", shifts, ESSENTIAL + 8, text=True),
        Field("clean\n%", [_cell("accuracy", clean) for clean, _, _ in lines], ESSENTIAL + 5),
        Field("shifted\n%", [_cell("accuracy", before) for _, before, _ in lines], ESSENTIAL + 6),
        Field("adapted\n%", [_cell("accuracy", after) for _, _, after in lines], ESSENTIAL + 7),
        Field("change\npoints", [_change(*line) for line in lines], ESSENTIAL + 4),
    ]
    for weight, name in ((20, "nll"), (10, "ece")):
        fields += [
            Field(f"{name}\nshifted", [_cell(name, before) for _, before, _ in lines], weight),
            Field(f"{name}\nadapted", [_cell(name, after) for _, _, after in lines], weight + 1),
        ]
    show([field for field in fields if any(field.cells)], console)
    for sentence in _verdict(lines):
        console.print(Text(sentence))


def _lines(rows: Sequence[Row]) -> list[tuple[Row, Row | None, Row | None]]:
    """For each network and shift: its row on clean data, under the shift, and adapted to it."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    clean: dict[str, Row] = {}
    for row in rows:
        if row["shift"] == row["adapt"] == "none":
            clean[row["role"]] = row
        else:
            found.setdefault((row["role"], row["shift"]), {})[row["adapt"]] = row
    lines = [(clean[who], states.get("none"), states.get("test_time")) for (who, _), states in found.items()]
    return lines or [(row, None, None) for row in clean.values()]


def _shift(before: Row | None, after: Row | None) -> str:
    row = before or after or {"shift": "none"}
    return row["shift"] if missing(row.get("severity")) else f"{row['shift']} {row['severity']}"


def _cell(name: str, row: Row | None) -> Text:
    return Text("" if row is None else shown(name, row[name]))


def _points(clean: Row, before: Row | None, after: Row | None) -> float:
    """What adaptation changed, or the shift where nothing adapted; percentage points."""
    first, last = (before or clean, after) if after is not None else (clean, before or clean)
    return 100 * (last["accuracy"] - first["accuracy"])


def _change(clean: Row, before: Row | None, after: Row | None) -> Text:
    points = _points(clean, before, after)
    return Text(f"{points:+.2f}", "" if points >= 0 else "red")


def _verdict(lines: Sequence[tuple[Row, Row | None, Row | None]]) -> list[str]:
    if lines[0][2] is None:
        return []
    told = {
        f"{clean['role']}, {_shift(before, after)}": _points(clean, before, after) for clean, before, after in lines
    }
    harmed = [f"{where} ({points:+.2f} points)" for where, points in told.items() if points < 0]
    helped = sum(points > 0 for points in told.values())
    sentence = f"Adaptation raised the accuracy in {helped} of {len(lines)} lines"
    return [f"{sentence}; it lowered that of {'; '.join(harmed)}." if harmed else f"{sentence} and lowered it in none."]
