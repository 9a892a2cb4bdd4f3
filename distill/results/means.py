"""Settings over seeds, and methods against one another, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from distill.results.fields import best, comparisons, over_seeds, settings
from distill.results.layout import Field, show
from distill.results.study import Study

_SETTINGS = 60
_COMPARISONS = 10
# What a terminal is too narrow for, and what it says in fewer letters.
_LEFT_OUT = ("params", "compression\nx")
_SHORT = {"role": "", "validation\n%": "val\n%"}


def print_means(found: Study, console: Console, table: str) -> None:
    """Prints a row for each setting and, where methods are compared, one for each pair of them.

    Args:
        found: What the runs show together.
        console: Where to; columns that do not fit its width are left out, intervals and deviations first.
        table: The file that has the numbers of settings that are too many to be read here.
    """
    lost = show(_fitted(settings(found, _SETTINGS)), console, title="Mean ± standard deviation over seeds")
    print_lost(lost, found.keys, console, table)
    left = len(found.groups) - len(best(found, _SETTINGS))
    if left:
        console.print(Text(f"{left:,} settings that reached less are left out here: {table} has their runs.", "dim"))
    tested = sum(group.gain is not None and group.gain.n > 1 for group in found.students)
    if tested:
        about = "Gain over the baseline of the same seed, with its 95 % interval (BCa bootstrap)"
        console.print(Text(f"{about}; {_test(tested, 'jointly corrected for', 'settings', lost)}.", "dim"))
    made = over_seeds(found) if found.by_method else []
    if made:
        title = "Best setting of each method, paired by seed"
        console.print()
        lost = show(_compared(comparisons(made[:_COMPARISONS])), console, title=title)
        more = f"{len(made) - _COMPARISONS:,} more pairs are left out here; " if len(made) > _COMPARISONS else ""
        test = _test(len(found.comparisons), "Holm-corrected for", "comparisons", lost)
        console.print(Text(f"{more}{test}.", "dim"))


def print_lost(lost: Sequence[str], keys: Sequence[str], console: Console, table: str) -> None:
    """Prints which of some columns a table had no room for, such as keys, without which its rows may look alike."""
    if missed := [key for key in keys if key in lost]:
        them = "it" if len(missed) == 1 else "them"
        console.print(Text(f"No room here for {', '.join(missed)}: a wider terminal shows {them}, or {table}.", "dim"))


def _test(count: int, corrected: str, what: str, lost: Sequence[str]) -> str:
    how = f", {corrected} {count:,} {what}" if count > 1 else ""
    wins = "" if "wins" in lost else "; wins: seeds in which it is better, ties half"
    return f"p: exact sign-flip test{how}{wins}"


def _fitted(fields: Sequence[Field]) -> list[Field]:
    kept = [field for field in fields if field.heading not in _LEFT_OUT]
    kept = [_mean(field) if field.heading == "gain\npoints" else field for field in kept]
    return [replace(field, heading=_SHORT.get(field.heading, field.heading)) for field in kept]


def _compared(fields: Sequence[Field]) -> list[Field]:
    """With the corrected p alone, and without the word that stands before the name of every method."""
    kept = [_mean(field) for field in fields if field.heading != "p"]
    kept = [replace(field, heading="p") if field.heading == "p, Holm" else field for field in kept]
    named = [[Text(cell.plain.removeprefix("method=")) for cell in field.cells] for field in kept[:2]]
    return [*(replace(field, cells=cells) for field, cells in zip(kept, named, strict=False)), *kept[2:]]


def _mean(field: Field) -> Field:
    """Without the standard deviation of differences, beside which their interval stands."""
    return field if field.brief is None else replace(field, cells=field.brief, brief=None)
