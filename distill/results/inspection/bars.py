"""Softened distributions on a terminal: numbers and bars, temperatures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from distill.results.inspection.numbers import percent, probability
from distill.results.inspection.softened import Softened

_NUMBER, _GAP, _WIDEST_BAR, _NARROWEST_BAR = 6, 2, 24, 5  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SUMMARY = ("entropy, nats", "of the maximum", "effective classes", "off the top class")


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: Of the class, or of several.
        classes: Class numbers whose probabilities are added up.
        style: As rich knows it.
    """

    name: str
    classes: list[int]
    style: str = ""


def bar(share: float, width: int, ascii_only: bool = False) -> str:
    """A horizontal bar.

    Args:
        share: Of the full width, 0..1.
        width: Characters of a full bar; an eighth of a character is the smallest difference.
        ascii_only: Whether only `#` can be shown.
    """
    if ascii_only:
        return "#" * round(share * width)
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def table(softened: Sequence[Softened], rows: Sequence[Row], width: int, ascii_only: bool = False) -> list[Text]:
    """Lines with number and bar for each temperature, in blocks below each other where all are too wide.

    Args:
        softened: One distribution (`[classes]`) at several temperatures; bars of all of them have one scale.
        rows: What to show of it; several classes together get no bar, which would dwarf those of single ones.
        width: Of the terminal, characters.
        ascii_only: Whether it shows nothing but ASCII.
    """
    margin = max(cell_len(name) for name in (*(row.name for row in rows), *_SUMMARY)) + _GAP
    beside = max(1, (width - margin + _GAP) // (_NUMBER + 1 + _NARROWEST_BAR + _GAP))
    room = (width - margin + _GAP) // min(beside, len(softened)) - _NUMBER - 1 - _GAP
    length = max(1, min(_WIDEST_BAR, room))
    largest = max(float(one.probabilities.max()) for one in softened)

    def line(name: str, cells: Sequence[str], style: str) -> Text:
        padded = "".join(cell.ljust(_NUMBER + 1 + length + _GAP) for cell in cells)
        return Text(set_cell_size(name, margin) + padded.rstrip(), style)

    lines: list[Text] = []
    for first in range(0, len(softened), beside):
        block = softened[first : first + beside]
        lines += [Text()] * bool(lines)
        lines.append(line("", [f"T={one.T:g}".rjust(_NUMBER) for one in block], "bold"))
        for row in rows:
            shares = [_share(one, row) for one in block]
            numbers = [probability(share).rjust(_NUMBER) for share in shares]
            bars = [bar(share / largest, length, ascii_only) if len(row.classes) == 1 else "" for share in shares]
            lines.append(line(row.name, [" ".join(cell) for cell in zip(numbers, bars, strict=True)], row.style))
        for name, numbers in zip(_SUMMARY, _summary(block), strict=True):
            lines.append(line(name, [number.rjust(_NUMBER) for number in numbers], "dim"))
    return lines


def _share(softened: Softened, row: Row) -> float:
    return float(softened.probabilities[row.classes].sum())


def _summary(softened: Sequence[Softened]) -> list[list[str]]:
    return [
        [f"{one.entropy:.2f}" for one in softened],
        [percent(float(one.share_of_maximum)) for one in softened],
        [f"{one.effective_classes:.1f}" for one in softened],
        [percent(float(one.off_top)) for one in softened],
    ]
