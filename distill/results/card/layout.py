"""Lists and tables of a model card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def listed(lines: Iterable[str]) -> str:
    """A list, an item per line."""
    return "\n".join(f"- {line}" for line in lines)


def table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def code(lines: Iterable[str], language: str = "sh") -> str:
    """A block of code."""
    return "\n".join([f"```{language}", *lines, "```"])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
