"""`distill list`: what can be chosen, read from the YAML files themselves."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.config import tree
from distill.config.tree import Choice
from distill.config.words import did_you_mean
from distill.errors import DistillError

# In the order in which a reader meets them.
FAMILIES = (
    "reference",
    "logits",
    "features",
    "relations",
    "several teachers",
    "no teacher",
    "other data",
    "other targets",
    "composition",
)
# Characters; in a narrower terminal there is no room for more columns beside the words.
_WIDE = 110


def show(kind: str, name: str | None = None) -> None:
    """Prints what can be chosen, each with one line; methods by family, with what they read and their paper.

    Args:
        kind: One of `tree.KINDS`.
        name: Of one choice, to be told with all its options instead.

    Raises:
        DistillError: There is no such choice.
    """
    group = tree.KINDS[kind]
    choices = tree.choices(group)
    if name is not None and group == "space":
        _named(kind, name, choices)
        print((tree.spaces() / f"{name}.yaml").read_text(encoding="utf-8"), end="")
    elif name is not None:
        _show_one(group, _named(kind, name, choices))
    elif group == "method":
        _show_methods(choices)
    else:
        table = _table(f"{group}=", "what it is")
        for choice in choices:
            table.add_row(choice.name, Text(choice.summary.partition(": distill train ")[0]))
        Console().print(table)


def _show_methods(choices: list[Choice]) -> None:
    console = Console()
    wide = console.width >= _WIDE
    table = _table("method=", "what it is", *(("reads", "paper", "year") if wide else ()))
    known = {choice.fact("family") for choice in choices}
    for family in [*FAMILIES, *sorted(known.difference(FAMILIES))]:
        members = [choice for choice in choices if choice.fact("family") == family]
        if members:
            table.add_row(Text(family, "italic"))
        for choice in members:
            paper = choice.fact("paper").partition(", http")[0]
            authors, _, year = paper.rpartition(" ")
            reads = choice.fact("reads")
            if wide:
                table.add_row(f"  {choice.name}", Text(choice.summary), reads, authors, year)
            else:
                below = "; ".join(filter(None, (f"reads {reads}", paper)))
                table.add_row(f"  {choice.name}", Text.assemble(choice.summary, "\n", (below, "dim")))
        table.add_section()
    console.print(table)


def _show_one(group: str, choice: Choice) -> None:
    console = Console()
    console.print(Text(f"{group}={choice.name}", "bold"))
    console.print(Text("\n".join(choice.opening)))
    if not choice.keys:
        return
    table = _table("option", "default", "meaning")
    for key, value in choice.keys.items():
        table.add_row(key, Text(_shown(value)), Text(choice.meanings.get(key, "")))
    console.print(table)
    several = tree.mounts(group)
    if len(several) > 1:
        before = " or ".join(f"{mount}." for mount in several)
        console.print(Text(f"On the command line {before} goes before the name of an option.", "dim"))


def _named(kind: str, name: str, choices: list[Choice]) -> Choice:
    for choice in choices:
        if choice.name == name:
            return choice
    names = [choice.name for choice in choices]
    raise DistillError(
        f"There is no {name!r} among the {kind}{did_you_mean(name, names)}: it must be one of {', '.join(names)}."
    )


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, style="bold" if number == 0 else "", no_wrap=number == 0, overflow="fold")
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(", ", ",").replace("'", "") if isinstance(value, list) else str(value)
