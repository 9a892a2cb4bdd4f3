"""What was found out about a network, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from distill.results.inspection import bars
from distill.results.inspection.answers import Answers
from distill.results.inspection.findings import Findings
from distill.results.inspection.half_blocks import rendered, shows_pictures
from distill.results.inspection.numbers import probability, share, short
from distill.results.inspection.sentences import agreement, answered, disagreement, of_classes, opening
from distill.results.inspection.softened import Softened
from distill.results.layout import ESSENTIAL, Field, show

Pixels = Mapping[int, np.ndarray]

_CLASSES_SHOWN, _CLASSES_ALONE, _DISAGREEMENTS, _WIDEST_NAME = 5, 20, 5, 14
_LEAST_BESIDE_PICTURE = 40  # characters
_TRUE = "green"


def print_logits(logits: np.ndarray, softened: Sequence[Softened], names: Sequence[str], console: Console) -> None:
    """Prints the effect of temperature on one vector of logits.

    Args:
        logits: `[classes]`.
        softened: The distributions to show.
        names: Of the classes.
        console: Where to.
    """
    order = np.argsort(-logits, kind="stable").tolist()
    shortened = [short(name, _WIDEST_NAME) for name in names]
    values = [f"{value:.4g}" for value in logits.tolist()]
    widths = max(map(cell_len, shortened)), max(map(len, values))
    named = [
        f"{set_cell_size(name, widths[0])}  {value:>{widths[1]}}" for name, value in zip(shortened, values, strict=True)
    ]
    rows = _rows(order[:_CLASSES_ALONE], named)
    console.print(Text(f"softmax(logits / T) of {len(logits)} classes, the most likely first", "bold"))
    console.print()
    _lines(bars.table(softened, rows, console.width, console.options.ascii_only), console)


def print_findings(found: Findings, pixels: Pixels, console: Console) -> None:
    """Prints all that was found out.

    Args:
        found: What was.
        pixels: Picture of each example by position, `[height, width, 3]` uint8; empty where inputs are no pictures.
        console: Where to.
    """
    for sentence in opening(found):
        console.print(Text(sentence))
    console.print(Text(f"\nWhat the {found.answers.role} says of single examples, softened", "bold"))
    for example in found.examples:
        console.print(Text(f"\ntest example {example.position}: {example.reason}"))
        console.print(Text(answered(found, example.position)))
        _print_example(found, example.position, pixels.get(example.position), console)
    _print_pairs(found, console)
    if found.beside is not None:
        _print_beside(found, pixels, console)


def _print_example(found: Findings, position: int, picture: np.ndarray | None, console: Console) -> None:
    kept = found.classes_shown(position, _CLASSES_SHOWN)
    rows = _rows(kept, found.classes, found.label(position))
    drawn = rendered(picture) if picture is not None and shows_pictures(console, picture) else []
    margin = drawn[0].cell_len + 3 if drawn else 0
    if margin and console.width - margin < _LEAST_BESIDE_PICTURE:
        _lines(drawn, console)
        drawn, margin = [], 0
    table = bars.table(found.softened(position), rows, console.width - margin, console.options.ascii_only)
    for line in range(max(len(drawn), len(table))):
        left = drawn[line] if line < len(drawn) else Text(" " * max(0, margin - 3))
        right = table[line] if line < len(table) else Text()
        _lines([Text.assemble(left, "   " if margin else "", right)], console)


def _rows(kept: Sequence[int], names: Sequence[str], true: int | None = None) -> list[bars.Row]:
    """A row for each class that is shown, the true one marked, and one for all others."""
    rows = []
    for number in kept:
        name = short(names[number], _WIDEST_NAME) + " (true)" if number == true else names[number]
        rows.append(bars.Row(short(name, _WIDEST_NAME + 7), [number], _TRUE if number == true else ""))
    rest = sorted(set(range(len(names))) - set(kept))
    return [*rows, bars.Row(f"{len(rest)} others", rest, "dim")] if rest else rows


def _print_pairs(found: Findings, console: Console) -> None:
    console.print(Text(f"\nClasses the {found.answers.role} takes for each other", "bold"))
    console.print(Text(of_classes(found)))
    names = [
        [short(found.classes[number], _WIDEST_NAME) for number in (pair.first, pair.second)] for pair in found.pairs
    ]
    fields = [
        Field("class a", [Text(first) for first, _ in names], ESSENTIAL + 9, text=True),
        Field("class b", [Text(second) for _, second in names], ESSENTIAL + 8, text=True),
        Field("mean\n%", [Text(share(pair.both)) for pair in found.pairs], ESSENTIAL + 7),
        Field("of b on a\n%", [Text(share(pair.forth)) for pair in found.pairs], 50),
        Field("of a on b\n%", [Text(share(pair.back)) for pair in found.pairs], 50),
    ]
    show(fields, console)


def _print_beside(found: Findings, pixels: Pixels, console: Console) -> None:
    beside = found.beside
    assert beside is not None
    assert found.compared is not None
    first, second = found.compared
    console.print(Text(f"{first.role.capitalize()} and {second.role}", "bold"))
    for sentence in agreement(found):
        console.print(Text(sentence))
    both = [
        Field("examples", [Text(f"{first.role} right"), Text(f"{first.role} wrong")], ESSENTIAL + 9, text=True),
        Field(f"{second.role} right", [Text(f"{beside.both_right:,}"), Text(f"{beside.only_second:,}")], ESSENTIAL),
        Field(
            f"{second.role} wrong",
            [Text(f"{beside.only_first:,}"), Text(f"{beside.same_error + beside.other_error:,}")],
            ESSENTIAL,
        ),
    ]
    show(both, console)
    console.print(Text(disagreement(found)))
    surest = beside.disagreements[:_DISAGREEMENTS].tolist()
    if not surest:
        return
    console.print(Text("\nThe surest disagreements: answers and their probabilities at T=1", "bold"))
    _print_gallery([pixels[position] for position in surest if position in pixels], surest, console)

    def said(answers: Answers) -> list[Text]:
        cells = []
        for position in surest:
            number = int(answers.predictions[position])
            name = short(found.classes[number], _WIDEST_NAME)
            right = number == found.label(position)
            cells.append(Text(f"{name} ({probability(float(answers.confidence[position]))})", _TRUE if right else ""))
        return cells

    true = [Text(short(found.classes[found.label(position)], _WIDEST_NAME)) for position in surest]
    fields = [
        Field("test example", [Text(str(position)) for position in surest], ESSENTIAL + 9),
        Field("true class", true, ESSENTIAL + 8, text=True),
        *(Field(answers.role, said(answers), ESSENTIAL + 7, text=True) for answers in (first, second)),
    ]
    show(fields, console)


def _print_gallery(pictures: Sequence[np.ndarray], positions: Sequence[int], console: Console) -> None:
    if not pictures or not shows_pictures(console, pictures[0]):
        return
    drawn = [rendered(picture) for picture in pictures]
    width = drawn[0][0].cell_len + 2
    drawn = drawn[: max(1, console.width // width)]
    _lines(
        [Text("".join(f"{position:<{width}}" for position, _ in zip(positions, drawn, strict=False)), "dim")], console
    )
    for line in range(len(drawn[0])):
        _lines([Text("  ").join(picture[line] for picture in drawn)], console)


def _lines(lines: Sequence[Text], console: Console) -> None:
    for line in lines:
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
