"""A grouping as a table: two keys and one measure as a grid where it fits, else a row for each cell."""

from __future__ import annotations

import math

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
    return _rows(found), _about_rows(found)


def _about_rows(found: Grouping) -> str:
    measured = [(name, one) for cell in found.cells for name, one in zip(found.metrics, cell.measures, strict=True)]
    shown_there = ", and the mean's 95 % interval" if any(interval(name, one) for name, one in measured) else ""
    uneven = any(one.std > 0 and math.isnan(one.low) for _, one in measured)
    why = "; no interval where the seeds have unequal numbers of networks" if uneven else ""
    return f"Mean ± standard deviation over n seeds{_each(found)}{shown_there}{_pooled(found)}{why}."


def _rows(found: Grouping) -> list[Field]:
    cells = found.cells
    fields = [Field("role", [Text(cell.role) for cell in cells], ESSENTIAL + 9, text=True)]
    for place, key in enumerate(found.keys):
        if key != "role":
            values = [shown(key, cell.keys[place]) for cell in cells]
            text = not is_numeric(pd.Series(values, dtype=object))
            fields.append(Field(key, [Text(value) for value in values], ESSENTIAL + 5, text))
    fields.append(Field("n", [Text(str(cell.seeds)) for cell in cells], ESSENTIAL))
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
    uneven = len({cell.seeds for cell in students}) > 1
    places = {tuple(map(shown, found.keys, cell.keys)): cell for cell in students}

    def told(row: str, column: str) -> Text:
        cell = places.get((row, column))
        if cell is None:
            return Text(_NONE)
        mean = _told(found.metrics[0], cell, 0)
        return Text(f"{mean} (n={cell.seeds})" if uneven and "n=" not in mean else mean)

    rows = _values(found, 0)
    fields = [Field(first, [Text(row or _NONE) for row in rows], ESSENTIAL + 9, text=True)]
    for column in _values(found, 1):
        fields.append(Field(f"{second}={column or _NONE}", [told(row, column) for row in rows], ESSENTIAL))
    return fields


def _about_grid(found: Grouping) -> str:
    name = found.metrics[0]
    counts = {cell.seeds for cell in _students(found)}
    number = counts.pop() if len(counts) == 1 else "n"
    seeds = "one seed" if number == 1 else f"{number} seeds"
    others = [f"{cell.role} {spread(name, cell.measures[0])}" for cell in found.cells if cell.role != "student"]
    beside = f"; for reference {', '.join(others)}" if others else ""
    of_unit = f" ({unit(name)})" if unit(name) else ""
    over = f"{seeds}{_each(found)}{_pooled(found)}"
    return f"{COLUMNS[name].heading}{of_unit}: mean ± standard deviation over {over}{beside}."


def _each(found: Grouping) -> str:
    """What the value of a seed is, where cells hold several networks of one."""
    numbers = {cell.networks / cell.seeds for cell in found.cells if cell.networks > cell.seeds}
    if not numbers:
        return ""
    alike = len(numbers) == 1 and min(numbers).is_integer()
    return f", each the mean of its {f'{min(numbers):g} ' if alike else ''}networks"


def _pooled(found: Grouping) -> str:
    others = [key for key in found.pooled if key != "seed"]
    return f", taken over {' and '.join(others)}" if others else ""


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
    return f"{told} (n={measured.n})" if told and measured.n != cell.seeds else told
