"""How probabilities and class names are written."""

from __future__ import annotations

import math


def probability(value: float) -> str:
    """Three decimals, `0.574`; what would be all zeros keeps its order of magnitude, `2e-06`."""
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if value >= 0.0005 or value == 0 else f"{value:.0e}"


def percent(share: float, digits: int = 1) -> str:
    """`57.4 %`."""
    return f"{100 * share:.{digits}f} %"


def share(value: float) -> str:
    """The number of `57.43 %`, for columns that name the unit."""
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def short(name: str, width: int) -> str:
    """A name in at most so many characters."""
    return name if len(name) <= width else f"{name[: width - 1]}…"
