"""The keys of a sweep that hold numbers, and the settings along them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distill.results.columns import shown
from distill.results.study import Group, Study

_TITLES = {"T": "temperature T", "alpha": "alpha, weight of the soft term"}


def title(key: str) -> str:
    """What an axis calls a key."""
    return _TITLES.get(key, key)


def value(group: Group, key: str) -> float | None:
    """A group's number of a key; `None` where it has none."""
    try:
        number = float(group.keys[key])
    except (KeyError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def values(groups: Sequence[Group], key: str) -> list[float]:
    """The numbers that some groups have of a key, ascending."""
    return sorted({number for one in groups if (number := value(one, key)) is not None})


def numeric(outcome: Study) -> list[str]:
    """The keys that take several numbers and no words, `T` and `alpha` first."""
    keys = [
        key
        for key in outcome.keys
        if len(values(outcome.students, key)) > 1
        and all(key not in one.keys or value(one, key) is not None for one in outcome.students)
    ]
    return sorted(keys, key=lambda key: {"T": 0, "alpha": 1}.get(key, 2))


def rest(group: Group, without: Sequence[str]) -> str:
    """A group's setting in words but for some keys."""
    return ", ".join(f"{key}={shown(key, one)}" for key, one in group.keys.items() if key not in without)
