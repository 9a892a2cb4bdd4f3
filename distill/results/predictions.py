"""What a network says of unlabelled inputs: as a CSV file, and as a table for the terminal."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from distill.files import replacing
from distill.results.layout import ESSENTIAL, Field, show

Answer = tuple[str, np.ndarray]
MOST_SHOWN = 40
_MOST_LABELS = 8


def written(answers: Iterable[Answer], classes: Sequence[str], top: int, path: Path) -> Iterator[Answer]:
    """Passes answers on, and writes a row for each: its labels in falling order, then the probability of every class.

    The file appears, whole, once the last answer was taken.

    Args:
        answers: The name of an input, and the probabilities `[classes]` for it.
        classes: Their names.
        top: How many labels stand before the classes.
        path: Where to.

    Raises:
        OSError: The file cannot be written.
    """
    header = ["file", "label", "probability"]
    header += [f"{name}_{place}" for place in range(2, top + 1) for name in ("label", "probability")]
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, *(f"p({name})" for name in classes)])
        for name, probabilities in answers:
            named = (cell for number in best(probabilities, top) for cell in (classes[number], probabilities[number]))
            cells = [*named, *probabilities]
            writer.writerow([name, *(cell if isinstance(cell, str) else f"{cell:.6g}" for cell in cells)])
            yield name, probabilities


def best(probabilities: np.ndarray, top: int) -> list[int]:
    """The numbers of the most likely classes, falling; the first of equals comes first."""
    return np.argsort(-probabilities, kind="stable")[:top].tolist()


class Shown:
    """What of any number of answers is for the terminal.

    Args:
        classes: Names of the classes.
        top: How many of them are shown for each input.
    """

    def __init__(self, classes: Sequence[str], top: int):
        self._classes = classes
        self._top = top
        self._first: list[Answer] = []
        self._counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many answers there were."""
        return self._counts.total()

    def add(self, answer: Answer) -> None:
        """Takes one more."""
        self._counts[self._classes[int(answer[1].argmax())]] += 1
        if len(self._first) < MOST_SHOWN:
            self._first.append(answer)

    def print(self, console: Console) -> None:
        """The table of the first answers, and how often each label was given."""
        places = [best(probabilities, self._top) for _, probabilities in self._first]
        fields = [
            Field("file", [Text(name) for name, _ in self._first], ESSENTIAL, text=True),
            Field("label", [Text(self._classes[numbers[0]], "bold") for numbers in places], ESSENTIAL + 2, text=True),
            Field("probability\n%", [Text(f"{100 * answer.max():.2f}") for _, answer in self._first], ESSENTIAL + 1),
        ]
        for place in range(1, self._top):
            numbers = [found[place] for found in places]
            cells = [
                Text(f"{self._classes[number]} ({100 * answer[number]:.2f})")
                for number, (_, answer) in zip(numbers, self._first, strict=True)
            ]
            fields.append(Field(f"no. {place + 1}\n%", cells, 50 - place, text=True))
        show(fields, console)
        if self.total > len(self._first):
            console.print(Text(f"… and {self.total - len(self._first):,} more."))
        if self.total > 1:
            console.print(Text(f"{self.total:,} inputs are labelled: {self._labels()}."))

    def _labels(self) -> str:
        frequent = self._counts.most_common(_MOST_LABELS)
        said = ", ".join(f"{count:,} as {label}" for label, count in frequent)
        rest = len(self._counts) - len(frequent)
        return f"{said}, and {rest} other labels" if rest else said
