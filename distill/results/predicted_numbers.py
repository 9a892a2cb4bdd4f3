"""What a regression answers to unlabelled inputs: as a CSV file, and as a table for the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from distill.files import replacing
from distill.results.layout import ESSENTIAL, Field, show
from distill.results.predictions import MOST_SHOWN, Answer


def written(answers: Iterable[Answer], targets: Sequence[str], path: Path) -> Iterator[Answer]:
    """Passes answers on, and writes a row for each; the file appears, whole, once the last answer was taken.

    Args:
        answers: The name of an input, and the numbers `[targets]` that it was answered with.
        targets: What they are called.
        path: Where to.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", *targets])
        for name, numbers in answers:
            writer.writerow([name, *(f"{number:.6g}" for number in numbers)])
            yield name, numbers


class Numbers:
    """What of any number of answers is for the terminal.

    Args:
        targets: What the answered numbers are called.
    """

    def __init__(self, targets: Sequence[str]):
        self._targets = targets
        self._first: list[Answer] = []
        self._total = 0

    def add(self, answer: Answer) -> None:
        """Takes one more."""
        self._total += 1
        if len(self._first) < MOST_SHOWN:
            self._first.append(answer)

    def print(self, console: Console) -> None:
        """The table of the first answers."""
        columns = [
            Field(target, [Text(f"{numbers[place]:.6g}") for _, numbers in self._first], ESSENTIAL - place)
            for place, target in enumerate(self._targets)
        ]
        show([Field("file", [Text(name) for name, _ in self._first], ESSENTIAL + 1, text=True), *columns], console)
        if self._total > len(self._first):
            console.print(Text(f"… and {self._total - len(self._first):,} more."))
