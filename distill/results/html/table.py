"""Tables as the page holds them: column by column, so that thousands of rows stay small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill.results.columns import COLUMNS, missing, shown

FIRST = 50  # rows of a page of a table, and those that can be read without scripts


@dataclass(frozen=True)
class TableColumn:
    """A column of a table of the page.

    Attributes:
        key: What filters call it.
        title: Its heading.
        unit: Of its numbers, as shown.
        meaning: One line.
        cells: Numbers as shown, with `None` where empty; or texts.
        digits: Decimals; `None` for a column of texts.
        shown: Whether it is there before anybody asks for it.
        sign: Whether positive numbers carry a plus.
        plain: Whether numbers stand without separators and trailing zeros, as settings do.
    """

    key: str
    title: str
    cells: Sequence[Any]
    unit: str = ""
    meaning: str = ""
    digits: int | None = None
    shown: bool = True
    sign: bool = False
    plain: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.digits is not None

    def cell(self, row: int) -> str:
        """A cell as people read it, as the script writes it too."""
        value = self.cells[row]
        if missing(value):
            return ""
        if self.digits is None:
            return str(value)
        if self.plain:
            return f"{value:g}"
        return f"{value:{'+' if self.sign else ''},.{self.digits}f}".replace("-", "−")

    def packed(self) -> dict[str, Any]:
        """What the script needs of it, small."""
        told = {"key": self.key, "title": self.title, "unit": self.unit, "meaning": self.meaning, "shown": self.shown}
        if self.digits is None:
            return told | coded([str(cell) if not missing(cell) else "" for cell in self.cells])
        cells = [None if missing(cell) else _rounded(float(cell), self.digits, self.plain) for cell in self.cells]
        numbers = {"digits": self.digits, "sign": self.sign, "plain": self.plain}
        same = len(cells) > 1 and len(set(cells)) == 1
        return told | numbers | ({"constant": cells[0]} if same else {"values": cells})


def _rounded(value: float, digits: int, plain: bool) -> float | int:
    # Two digits beyond those shown keep the order of rows; more would only make the page large.
    number = value if plain else round(value, digits + 2)
    return int(number) if number.is_integer() else number


def coded(texts: Sequence[str]) -> dict[str, Any]:
    """Texts as the different ones, without what all begin with, and for each row which of them it has."""
    levels = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    prefix = _common(min(levels), max(levels)) if len(levels) > 1 else ""
    told = {"prefix": prefix, "levels": [text[len(prefix) :] for text in levels]}
    if len(levels) == 1 and len(texts) > 1:
        return {**told, "constant": 0}
    return {**told, "codes": [levels[text] for text in texts]}


def _common(first: str, last: str) -> str:
    """What two texts begin with alike; of the first and the last in order it is what all between begin with."""
    return first[
        : next((place for place, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), len(first))
    ]


def measure(name: str, cells: Sequence[Any], *, title: str | None = None, shown: bool = True) -> TableColumn:
    """A numeric column of `results.csv` in the unit it is shown in.

    Args:
        name: Of the column.
        cells: As stored.
        title: Its heading; that of the column where `None`.
        shown: Whether it is there before anybody asks for it.
    """
    column = COLUMNS[name]
    unit, digits = ("MB", 3) if name == "size_mb" else (column.unit, column.digits)
    values = [None if missing(cell) else float(cell) * column.scale for cell in cells]
    return TableColumn(
        name,
        title or column.heading,
        values,
        unit=unit,
        meaning=column.meaning,
        digits=digits,
        shown=shown,
        sign=name == "gain",
        plain=name == "seed",
    )


def setting(key: str, cells: Sequence[Any]) -> TableColumn:
    """The column of a key that varies: numbers where all are, else words."""
    meaning = COLUMNS[key].meaning if key in COLUMNS else "a key that the runs set differently"
    try:
        numbers = [None if missing(cell) else float(cell) for cell in cells]
    except (TypeError, ValueError):
        numbers = []
    if numbers and all(number is None or math.isfinite(number) for number in numbers):
        return TableColumn(key, key, numbers, meaning=meaning, digits=6, plain=True)
    return TableColumn(key, key, [shown(key, cell) for cell in cells], meaning=meaning)


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        name: For anchors and files.
        title: What its rows are.
        columns: None of them empty.
        owner: For each row the number of its run; empty where rows are no runs.
    """

    name: str
    title: str
    columns: list[TableColumn]
    owner: list[int]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.columns[0].cells)

    @property
    def first(self) -> range:
        """The rows that can be read without scripts."""
        return range(min(self.rows, FIRST))

    @property
    def visible(self) -> list[TableColumn]:
        """The columns that are there before anybody asks for more."""
        return [column for column in self.columns if column.shown]

    def packed(self) -> dict[str, Any]:
        """What the script needs of it."""
        columns = [column.packed() for column in self.columns]
        return {"name": self.name, "rows": self.rows, "page": FIRST, "columns": columns, "owner": self.owner}


def filled(columns: Sequence[TableColumn]) -> list[TableColumn]:
    """The columns that hold anything."""
    return [column for column in columns if any(not missing(cell) for cell in column.cells)]
