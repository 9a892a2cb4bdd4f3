"""Tables as the page holds them: column by column, so that thousands of rows stay small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill.results.columns import COLUMNS, decimal, missing
from distill.results.columns import shown as shown_as

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
        texts: Numbers in words of their own, such as settings as they were given.
    """

    key: str
    title: str
    cells: Sequence[Any]
    unit: str = ""
    meaning: str = ""
    digits: int | None = None
    shown: bool = True
    sign: bool = False
    texts: Sequence[str] | None = None

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
        if self.texts is not None:
            return self.texts[row]
        return decimal(value, self.digits, sign=self.sign).replace("-", "−")

    def packed(self) -> dict[str, Any]:
        """What the script needs of it, small."""
        told = {"key": self.key, "title": self.title, "unit": self.unit, "meaning": self.meaning, "shown": self.shown}
        if self.digits is None:
            return told | coded([str(cell) if not missing(cell) else "" for cell in self.cells])
        plain = self.texts is not None
        cells = [None if missing(cell) else _rounded(float(cell), self.digits, plain) for cell in self.cells]
        numbers = {"digits": self.digits, "sign": self.sign, "plain": plain}
        same = len(cells) > 1 and len({*zip(cells, self.texts or cells, strict=True)}) == 1
        rows = range(1 if same else len(cells))
        odd = {row: self.cell(row) for row in rows if self._is_odd(row, cells[row])}
        numbers |= {"odd": odd} if odd else {}
        return told | numbers | ({"constant": cells[0]} if same else {"values": cells})

    def _is_odd(self, row: int, packed: float | None) -> bool:
        """Whether the script could not know how a number is shown: it rounds halves up, and knows no short form."""
        if packed is None or self.digits is None:
            return not missing(self.cells[row])
        if self.texts is not None:
            return "e" in repr(packed) or self.texts[row] != repr(packed)
        last = abs(packed) * 10 ** (self.digits + 2)
        return packed == 0 or last >= 10**15 or round(last) % 100 == 50


def _rounded(value: float, digits: int, plain: bool) -> float | int | None:
    if not math.isfinite(value):
        return None
    # Two digits beyond those shown keep the order of rows; more would only make the page large.
    number = value if plain else round(value, digits + 2)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


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
        texts=[shown_as(name, cell) for cell in cells] if name == "seed" else None,
    )


def setting(key: str, cells: Sequence[Any], title: str = "") -> TableColumn:
    """The column of a key that varies: numbers where all are, else words; headed by the key without a title."""
    meaning = COLUMNS[key].meaning if key in COLUMNS else f"{key}, a key that the runs set differently"
    texts = [shown_as(key, cell) for cell in cells]
    try:
        numbers = [None if missing(cell) else float(cell) for cell in cells]
    except (TypeError, ValueError):
        numbers = []
    if numbers and all(number is None or math.isfinite(number) for number in numbers):
        return TableColumn(key, title or key, numbers, meaning=meaning, digits=6, texts=texts)
    return TableColumn(key, title or key, texts, meaning=meaning)


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


def short_titles(keys: Sequence[str]) -> dict[str, str]:
    """What heads the column of each key: its last part, as `lr`, where no other key or column is called so."""
    ends = {key: key.rpartition(".")[2] for key in keys}
    taken = [*ends.values(), *COLUMNS]
    return {key: end if taken.count(end) == 1 else key for key, end in ends.items()}


def filled(columns: Sequence[TableColumn]) -> list[TableColumn]:
    """The columns that hold anything."""
    return [column for column in columns if any(not missing(cell) for cell in column.cells)]
