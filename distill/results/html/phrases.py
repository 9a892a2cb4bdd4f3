"""Numbers of a study in the words of the page."""

from __future__ import annotations

import math
import re

from distill.results.columns import shown
from distill.results.statistics import Paired, Summary, p_shown
from distill.results.study import Group, Study

_LONG = 30  # letters


def percent(share: float, digits: int = 2) -> str:
    """`96.60 %` of a share of 1."""
    return f"{100 * share:.{digits}f} %"


def interval(summary: Summary, scale: float = 1.0, *, sign: bool = False) -> str:
    """`[95.40, 95.71]`; nothing where there is none."""
    if math.isnan(summary.low):
        return ""
    form = f"{'+' if sign else ''}.2f"
    return f"[{_minus(f'{summary.low * scale:{form}}')}, {_minus(f'{summary.high * scale:{form}}')}]"


def ends(summary: Summary) -> tuple[float, float]:
    """The ends of the interval; the mean twice where there is none."""
    return (summary.mean, summary.mean) if math.isnan(summary.low) else (summary.low, summary.high)


def points(value: float) -> str:
    """`+1.48`, with a true minus sign."""
    return _minus(f"{value:+.2f}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def p_value(paired: Paired) -> str:
    """`p = .031`, corrected where that makes a difference; nothing where there is none."""
    shown = p_shown(paired.adjusted)
    return f"p {shown.replace('<', '< ') if shown.startswith('<') else f'= {shown}'}" if shown else ""


def unbroken(text: str) -> str:
    """The text with no line break between a number and what belongs to it."""
    return re.sub(r"(?<=\d) (?=%|points|seeds|±)|(?<=\bp) (?=[=<])|(?<=[=<±]) (?=[.\d])", "\N{NO-BREAK SPACE}", text)


def seeds(n: int) -> str:
    """`1 seed`, `6 seeds`."""
    return f"{n} seed{'' if n == 1 else 's'}"


def name(group: Group) -> str:
    """A group as axes and rows call it: a role with its network, or a setting."""
    if group.role == "student":
        return f"student {group.model}" if group.label == "student" else _short(group).removeprefix("method=")
    return f"{group.role} {group.model}" + (f" ({group.label})" if group.label != group.role else "")


def _short(group: Group) -> str:
    """The setting in words; a long one with the last parts of its keys alone, where those tell them apart."""
    ends = {key: key.rpartition(".")[2] for key in group.keys}
    if len(group.label) <= _LONG or len({*ends.values()}) < len(ends):
        return group.label
    return ", ".join(f"{ends[key]}={shown(key, value)}" for key, value in group.keys.items())


def sole(outcome: Study, role: str) -> Group | None:
    """The only group of a role; `None` where there is none, or several."""
    found = [group for group in outcome.groups if group.role == role]
    return found[0] if len(found) == 1 else None


def leader(outcome: Study) -> Group | None:
    """The setting that the page looks at closely: the winner, or the only one there is."""
    return outcome.winner or sole(outcome, "student")
