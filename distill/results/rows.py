"""The rows of one run: what follows from the measured numbers, and the file that holds them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.errors import DataError
from distill.files import write_text
from distill.results.columns import COLUMNS, missing
from distill.results.measures import score

Row = dict[str, Any]

# Without the number of teacher_2.
_REFERENCES = {"teacher", "assistant", "ensemble", "peers", "baseline", "joint", "task", "finetuned", "lwf"}


def complete(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Fills in what follows from the measurements: `compression`, `gain` and `recovered`.

    The first teacher and the first baseline among the rows are what every network is compared with.

    Args:
        rows: One per network of one run, with `role`, `params` and `accuracy` (0..1) or `r2` where measured.

    Returns:
        Copies of the rows. `gain` and `recovered` stay empty for what students are compared with; `recovered` also
        when the teacher is not better than the baseline.
    """
    teacher = _first(rows, "teacher")
    baseline = _first(rows, "baseline")
    return [{**row, **_derived(row, teacher, baseline)} for row in rows]


def is_reference(role: str) -> bool:
    """Whether a network is what students are compared with, or learn from: its numbers are no success of theirs."""
    return re.sub(r"_\d+$", "", role) in _REFERENCES


def _first(rows: Sequence[Mapping[str, Any]], role: str) -> Mapping[str, Any]:
    return next((row for row in rows if row.get("role") == role), {})


def _derived(row: Mapping[str, Any], teacher: Mapping[str, Any], baseline: Mapping[str, Any]) -> Row:
    own, big = _number(row, "params"), _number(teacher, "params")
    # What a teacher reaches on other data tells nothing.
    same = teacher if teacher.get("dataset") == row.get("dataset") else {}
    reached, plain, best = (score(network) for network in (row, baseline, same))
    derived: Row = {"compression": big / own if big and own else None, "gain": None, "recovered": None}
    if is_reference(str(row.get("role"))) or reached is None or plain is None:
        return derived
    derived["gain"] = 100.0 * (reached - plain)
    if best is not None and best > plain:
        derived["recovered"] = (reached - plain) / (best - plain)
    return derived


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return None if value is None or missing(value) else float(value)


def write_csv(rows: Iterable[Mapping[str, Any]], path: Path, columns: Iterable[str] = COLUMNS) -> Path:
    """Writes rows to a CSV file, whole or not at all.

    Args:
        rows: The rows; empty cells are `None`, NaN or absent. Keys that are not among `columns` are
            appended in the order in which they first appear.
        path: Where to.
        columns: The header, in order.

    Returns:
        `path`.
    """
    rows = list(rows)
    header = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    return write_text(path, csv_text([header]) + csv_text(csv_cells(rows, header)))


def csv_cells(rows: Iterable[Mapping[str, Any]], header: Sequence[str]) -> Iterator[list[str]]:
    """The cells of rows as a CSV file holds them, in the order of a header."""
    return ([_stored(key, row.get(key)) for key in header] for row in rows)


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """Lines of CSV, quoted where they must be."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _stored(key: str, value: Any) -> str:
    if missing(value):
        return ""
    kind = COLUMNS[key].kind if key in COLUMNS else None
    if kind == "flag" or isinstance(value, bool):
        return str(bool(value)).lower()
    if kind == "integer":
        return str(int(value))
    return repr(float(value)) if isinstance(value, float) else str(value)


def read_csv(path: Path) -> list[Row]:
    """Reads what `write_csv` wrote with the columns of `results.csv`.

    Returns:
        Typed rows; empty cells are `None`, and columns that are not in `COLUMNS` stay text.

    Raises:
        DataError: The file is missing, not a results table, or holds a cell that is not what its column says.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if "role" not in (reader.fieldnames or ()):
                raise DataError(f"{path} is not a results table: it has no column 'role'.")
            return [_typed(raw, path, number) for number, raw in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _typed(raw: Mapping[str | None, Any], path: Path, line: int) -> Row:
    if None in raw or None in raw.values():
        raise DataError(f"{path}, line {line}: it has not as many cells as the header.")
    row: Row = {}
    for name, text in raw.items():
        assert name is not None
        try:
            row[name] = _parsed(name, text)
        except ValueError as error:
            raise DataError(f"{path}, line {line}: {name}={text} is not {COLUMNS[name].kind}.") from error
    return row


def _parsed(name: str, text: str) -> Any:
    if text == "":
        return None
    kind = COLUMNS[name].kind if name in COLUMNS else "text"
    if kind == "integer":
        return int(text)
    if kind == "number":
        return float(text)
    if kind == "flag":
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    return text
