"""A grouping as a table: two keys and one measure as a grid where it fits, else a row for each cell."""

from __future__ import annotations

import pandas as pd
from rich.text import Text

from distill.results.columns import COLUMNS, shown
from distill.results.frame import is_numeric
from distill.results.grouping import Cell, Grouping, interval, spread, unit
from distill.results.layout import ESSENTIAL, Field

_MOST_COLUMNS = 12
_NONE = "–"


def table(found: Grouping, width: int | None = None) -> tuple[list[Field], str]:
    """The table, and a sentence about its numbers.

    Args:
        found: The cells.
        width: Of the terminal, characters; a grid that is wider becomes rows. `None` for no limit.
    """
    grid = _grid(found) if _makes_grid(found) else []
    if grid and (width is None or sum(field.natural() + 2 for field in grid) + 2 <= width):
        return grid, _about_grid(found)
    return _rows(found), f"Mean ± standard deviation of n networks, and the mean's 95 % interval{_pooled(found)}."


def _rows(found: Grouping) -> list[Field]:
    cells = found.cells
    fields = [Field("role", [Text(cell.role) for cell in cells], ESSENTIAL + 9, text=True)]
    for place, key in enumerate(found.keys):
        if key != "role":
            values = [shown(key, cell.keys[place]) for cell in cells]
            text = not is_numeric(pd.Series(values, dtype=object))
            fields.append(Field(key, [Text(value) for value in values], ESSENTIAL + 5, text))
    fields.append(Field("n", [Text(str(cell.networks)) for cell in cells], ESSENTIAL))
    for place, name in enumerate(found.metrics):
        of_unit = f"\n{unit(name)}" if unit(name) else ""
        means = [Text(_told(name, cell, place)) for cell in cells]
        intervals = [Text(interval(name, cell.measures[place])) for cell in cells]
        fields.append(Field(COLUMNS[name].heading + of_unit, means, ESSENTIAL + 8 - place))
        fields.append(Field("95 % interval" + of_unit, intervals, 50 - place))
    return [field for field in fields if any(field.cells)]


def _makes_grid(found: Grouping) -> bool:
    if len(found.keys) != 2 or len(found.metrics) != 1 or "role" in found.keys:
        return False
    others = [cell.role for cell in found.cells if cell.role != "student"]
    rows, columns = (len(_values(found, place)) for place in (0, 1))
    return len(others) == len(set(others)) and rows > 1 and 1 < columns <= _MOST_COLUMNS


def _grid(found: Grouping) -> list[Field]:
    (first, second), students = found.keys, _students(found)
    uneven = len({cell.networks for cell in students}) > 1
    places = {tuple(map(shown, found.keys, cell.keys)): cell for cell in students}

    def told(row: str, column: str) -> Text:
        cell = places.get((row, column))
        if cell is None:
            return Text(_NONE)
        mean = _told(found.metrics[0], cell, 0)
        return Text(f"{mean} (n={cell.networks})" if uneven and "n=" not in mean else mean)

    rows = _values(found, 0)
    fields = [Field(first, [Text(row or _NONE) for row in rows], ESSENTIAL + 9, text=True)]
    for column in _values(found, 1):
        fields.append(Field(f"{second}={column or _NONE}", [told(row, column) for row in rows], ESSENTIAL))
    return fields


def _about_grid(found: Grouping) -> str:
    name = found.metrics[0]
    counts = {cell.networks for cell in _students(found)}
    each = f" of {counts.pop()} networks" if len(counts) == 1 else ""
    others = [f"{cell.role} {spread(name, cell.measures[0])}" for cell in found.cells if cell.role != "student"]
    beside = f"; for reference {', '.join(others)}" if others else ""
    of_unit = f" ({unit(name)})" if unit(name) else ""
    return f"{COLUMNS[name].heading}{of_unit}: mean ± standard deviation{each}{_pooled(found)}{beside}."


def _pooled(found: Grouping) -> str:
    return f", taken over {' and '.join(found.pooled)}" if found.pooled else ""


def _students(found: Grouping) -> list[Cell]:
    return [cell for cell in found.cells if cell.role == "student"]


def _values(found: Grouping, place: int) -> list[str]:
    """The values of a key as shown, numbers by size."""
    return sorted({shown(found.keys[place], cell.keys[place]) for cell in _students(found)}, key=_rank)


def _rank(text: str) -> tuple[float, str]:
    try:
        return float(text or "-inf"), ""
    except ValueError:
        return float("inf"), text


def _told(name: str, cell: Cell, place: int) -> str:
    measured = cell.measures[place]
    told = spread(name, measured)
    return f"{told} (n={measured.n})" if told and measured.n != cell.networks else told
