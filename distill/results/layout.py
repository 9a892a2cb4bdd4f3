"""Tables that fit the width of a terminal without ever cutting a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

ESSENTIAL = 90
SHORTEST = 8


@dataclass(frozen=True)
class Field:
    """One column of a table.

    Attributes:
        heading: Its name; a unit follows in a second line.
        cells: One per row.
        weight: What a narrow terminal gives up first is what weighs least; from `ESSENTIAL` on, the column is
            given up only when shortening texts was not enough.
        text: Texts are aligned left, and may be shortened with an ellipsis.
        shorten_heading: Whether a number's heading may be shortened, down to the number.
        width: Cells and heading are shortened to this; `None` for as wide as they are.
    """

    heading: str
    cells: list[Text]
    weight: float
    text: bool = False
    shorten_heading: bool = False
    width: int | None = None

    def natural(self) -> int:
        """The width it takes now, in characters."""
        if self.width is not None:
            return self.width
        return max(self._cells(), *(len(line) for line in self.heading.split("\n")))

    def least(self) -> int:
        """The smallest width it may be given."""
        if self.text:
            return min(self.natural(), SHORTEST)
        return max(self._cells(), min(self.natural(), SHORTEST)) if self.shorten_heading else self.natural()

    def _cells(self) -> int:
        return max((cell.cell_len for cell in self.cells), default=0)


def show(fields: Sequence[Field], console: Console, title: str = "") -> None:
    """Prints a table: whole if it fits, else without what weighs least, else with its texts shortened."""
    console.print(_table(fit(fields, console.width), title), crop=False, no_wrap=True)


def fit(fields: Sequence[Field], width: int) -> list[Field]:
    """The columns that fit into `width` characters, shortened where they must be."""
    fields = list(fields)
    while _excess(fields, width) > 0:
        light = min(fields, key=lambda field: field.weight)
        slack = max(fields, key=lambda field: field.natural() - field.least())
        if light.weight < ESSENTIAL:
            fields.remove(light)
        elif slack.natural() > slack.least():
            narrower = max(slack.least(), slack.natural() - _excess(fields, width))
            fields[fields.index(slack)] = replace(slack, width=narrower)
        elif len(fields) > 1:
            fields.remove(light)
        else:
            break
    return fields


def _excess(fields: Sequence[Field], width: int) -> int:
    # Two characters between columns, and one at either end, as `_table` draws them.
    return sum(field.natural() + 2 for field in fields) + 2 - width


def _table(fields: Sequence[Field], title: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        title_style="bold",
        collapse_padding=True,
        pad_edge=False,
    )
    for field in fields:
        width = field.natural()
        name, _, unit = field.heading.partition("\n")
        # The end of a key such as `hparams.student.lr` tells more than its beginning.
        heading = Text(name if len(name) <= width else "…" + name[len(name) - width + 1 :])
        if unit:
            heading.append("\n" + unit, "dim")
        justify = "left" if field.text or not name else "right"
        table.add_column(heading, justify=justify, no_wrap=True, width=width)
    for row in zip(*(field.cells for field in fields), strict=True):
        cells = [cell.copy() for cell in row]
        for cell, field in zip(cells, fields, strict=True):
            cell.truncate(field.natural(), overflow="ellipsis")
        table.add_row(*cells)
    return table
