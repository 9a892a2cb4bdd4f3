r"""Tables for LaTeX, to be put into a paper with `\input`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distill.results import grouped
from distill.results.fields import BOLD, about_settings, settings
from distill.results.grouping import Grouping
from distill.results.layout import Field
from distill.results.study import Study

_LONG = 45  # rows that fit on a page
# A page of a paper has no room for them, or they stand there already.
_LEFT_OUT = ("95 % interval\n%", "wins", "params", "model@student")
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\dots{}",
    "α": r"$\alpha$",
    "µ": r"$\mu$",
    "\n": " ",
    "[": "{[}",  # which after the end of a row, like a star, would be its option
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def page(outcome: Study, grouping: Grouping | None = None) -> str:
    """A table with its caption; the verdict stands above it as a comment.

    Args:
        outcome: Whose settings are the rows; the recommended one's numbers are bold.
        grouping: What the rows are instead, where the user grouped.
    """
    if grouping is None:
        fields = [field for field in settings(outcome) if field.heading not in _LEFT_OUT]
        about = f"Test {outcome.measure.title} by setting. {about_settings(outcome)}".replace(", and the seeds won", "")
    else:
        fields, about = grouped.table(grouping)
    cells = [cell for field in fields for cell in field.cells]
    if any(cell.style == BOLD for cell in cells):
        by = "validation" if outcome.by_validation else "test"
        about += f" Bold: the best of {outcome.tried:,} settings on {by} examples."
    long = len(fields[0].cells) > _LONG
    packages = ["booktabs", *["longtable"] * long]
    if any('"' in cell.plain for cell in cells):
        packages.append("[T1]{fontenc}")
    needs = ", ".join(rf"\usepackage{name if name[0] == '[' else '{' + name + '}'}" for name in packages)
    head = [f"% {' '.join(outcome.sentence.split())}", f"% Needs {needs}."]
    return "\n".join([*head, *(_long if long else _short)(fields, about)]) + "\n"


def escaped(text: str) -> str:
    """Text as LaTeX prints it: what has a meaning to LaTeX is escaped, and a minus is one."""
    found = "".join(_ESCAPES.get(character, character) for character in text)
    # A hyphen before a number is a minus, but not within a word or a date.
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", found)


def _short(fields: Sequence[Field], caption: str) -> list[str]:
    return [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(caption)}}}",
        rf"  \begin{{tabular}}{{{_alignment(fields)}}}",
        r"    \toprule",
        *(f"    {line}" for line in _head(fields)),
        r"    \midrule",
        *(f"    {line}" for line in _body(fields)),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


def _long(fields: Sequence[Field], caption: str) -> list[str]:
    return [
        rf"\begin{{longtable}}{{{_alignment(fields)}}}",
        rf"  \caption{{{escaped(caption)}}} \\",
        r"  \toprule",
        *(f"  {line}" for line in _head(fields)),
        r"  \midrule",
        r"  \endhead",
        r"  \bottomrule",
        r"  \endfoot",
        *(f"  {line}" for line in _body(fields)),
        r"\end{longtable}",
    ]


def _alignment(fields: Sequence[Field]) -> str:
    return "".join("l" if field.text else "r" for field in fields)


def _head(fields: Sequence[Field]) -> list[str]:
    names = [field.heading.partition("\n")[::2] for field in fields]
    units = [f"({unit})" if unit else "" for _, unit in names]
    lines = [_line([escaped(name) for name, _ in names])]
    return [*lines, _line([escaped(unit) for unit in units])] if any(units) else lines


def _body(fields: Sequence[Field]) -> list[str]:
    rows = zip(*(field.cells for field in fields), strict=True)
    return [
        _line([rf"\textbf{{{escaped(cell.plain)}}}" if cell.style == BOLD else escaped(cell.plain) for cell in row])
        for row in rows
    ]


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
