"""Cells that several tables on a terminal have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from distill.results.columns import COLUMNS, missing, shown
from distill.results.layout import ESSENTIAL, Field

ROLE_STYLES = {"teacher": "blue", "baseline": "yellow", "student": "green"}


def role(name: str) -> Text:
    """A role in its colour."""
    return Text(name, ROLE_STYLES.get(name, ""))


def key(name: str, values: Sequence[Any], roles: Sequence[str]) -> Field:
    """The column of a key that varies; students that lack an overridden one have its default.

    Args:
        name: The key, a column of `results.csv` or an overridden key.
        values: Of each row.
        roles: Of each row.
    """
    own = name in COLUMNS
    cells = [
        Text("default", "dim") if not own and missing(value) and role == "student" else Text(shown(name, value))
        for role, value in zip(roles, values, strict=True)
    ]
    # A narrow terminal has room longest for the method, then for what every run has, such as data set and T.
    weight = ESSENTIAL + (5 if name == "method" else 3 * own)
    return Field(name, cells, weight, text=not _are_numbers(values), shorten_heading=not own)


def _are_numbers(values: Sequence[Any]) -> bool:
    filled = [value for value in values if not missing(value)]
    try:
        return bool([float(value) for value in filled])
    except ValueError:
        return False
