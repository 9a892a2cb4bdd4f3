"""Several seeds of one setting as a mean and its standard error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from distill.results.columns import missing
from distill.results.frame import is_finished, order, students, unique, varying

# Student's t at 97.5 % by degrees of freedom; beyond the last one it is taken as it stands, which is cautious.
T_QUANTILES = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
)


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Attributes:
        mean: NaN when there is nothing to take it of.
        error: Standard error of the mean (sample standard deviation / sqrt(n)); NaN below two values.
        n: Values.
    """

    mean: float
    error: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Mean:
        """Of the values that are there."""
        known = pd.Series([value for value in values if not missing(value)], dtype="float64")
        n = len(known)
        if not n:
            return cls(math.nan, math.nan, 0)
        return cls(float(known.mean()), float(known.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan, n)

    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval by Student's t; needs two values at least."""
        half = T_QUANTILES[min(self.n - 2, len(T_QUANTILES) - 1)] * self.error
        return self.mean - half, self.mean + half

    def shown(self, scale: float = 1.0, *, sign: bool = False, digits: int = 2) -> str:
        """`95.56 ± 0.20`; without error when there is one value, empty when there is none."""
        if not self.n:
            return ""
        mean = f"{self.mean * scale:{'+' if sign else ''}.{digits}f}"
        return mean if self.n == 1 else f"{mean} ± {self.error * scale:.{digits}f}"


@dataclass(frozen=True)
class Group:
    """Networks that differ in their seed alone.

    Attributes:
        role: Their role.
        model: Their network.
        rows: One per network, no network twice.
        accuracy: Test accuracy, 0..1.
        gain: Points over the baseline of the same run, hence of the same seed.
    """

    role: str
    model: str
    rows: pd.DataFrame
    accuracy: Mean
    gain: Mean


def groups(df: pd.DataFrame) -> list[Group]:
    """Finished networks grouped by everything but the seed: teachers, baselines, then students by setting.

    A network that several runs report, such as a student that was reused, counts once.
    """
    keys = varying(df)
    finished = df[is_finished(df) & df["accuracy"].notna()]
    once = unique(finished)
    known = once["signature"] != ""
    once = once[~(known & once.duplicated(["role", "signature", *keys]))]
    found: list[Group] = []
    for role in roles(once):
        rows = once[once["role"] == role]
        by = [
            "dataset",
            "method",
            "model",
            *(key for key in keys if key not in ("dataset", "method", "model")),
        ]
        for _, members in order(rows, by).groupby(by, sort=False, dropna=False):
            # Two networks of one seed differ in something that no key tells, such as the code of a user's network.
            again = members.groupby("seed", dropna=False).cumcount()
            found += [_group(role, alike) for _, alike in members.groupby(again)]
    return found


def _group(role: str, rows: pd.DataFrame) -> Group:
    model = str(rows["model"].iloc[0])
    return Group(role, model, rows, accuracy=Mean.of(rows["accuracy"]), gain=Mean.of(rows["gain"]))


def roles(df: pd.DataFrame) -> list[str]:
    """The roles in a table, teachers first, then what stands between, then baselines and students."""
    rank = {"teacher": 0, "baseline": 2, "student": 3}
    return sorted(dict.fromkeys(df["role"]), key=lambda role: rank.get(role, 1))


def several_seeds(df: pd.DataFrame) -> bool:
    """Whether some setting was run with more than one seed."""
    return students(df)["seed"].nunique() > 1 and any(group.accuracy.n > 1 for group in groups(df))
