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
        brief: Cells that say less, which take the place of `cells` where the table is too wide.
        yields: When they do, as a weight among those of the other columns.
    """

    heading: str
    cells: list[Text]
    weight: float
    text: bool = False
    shorten_heading: bool = False
    width: int | None = None
    brief: list[Text] | None = None
    yields: float = 0.0

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


def show(fields: Sequence[Field], console: Console, title: str = "") -> list[str]:
    """Prints a table: whole if it fits, else without what weighs least, else with its texts shortened.

    Returns:
        The names of the columns that there was no room for, without their units.
    """
    fitting = fit(fields, console.width)
    console.print(_table(fitting, title), crop=False, no_wrap=True)
    kept = {field.heading for field in fitting}
    return [field.heading.partition("\n")[0] for field in fields if field.heading not in kept]


def fit(fields: Sequence[Field], width: int) -> list[Field]:
    """The columns that fit into `width` characters, shortened where they must be."""
    fields = list(fields)
    shortened: list[tuple[Field, Field]] = []
    while _excess(fields, width) > 0:
        light = min(fields, key=lambda field: field.weight if field.brief is None else field.yields)
        slack = max(fields, key=lambda field: field.natural() - field.least())
        if light.brief is not None:
            shortened.append((light, replace(light, cells=light.brief, brief=None)))
            fields[fields.index(light)] = shortened[-1][1]
        elif light.weight < ESSENTIAL:
            fields.remove(light)
        elif slack.natural() > slack.least():
            narrower = max(slack.least(), slack.natural() - _excess(fields, width))
            fields[fields.index(slack)] = replace(slack, width=narrower)
        elif len(fields) > 1:
            fields.remove(light)
        else:
            break
    for whole, brief in shortened:  # what was given up later may have left room enough
        again = [whole if field is brief else field for field in fields]
        fields = again if _excess(again, width) <= 0 else fields
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
