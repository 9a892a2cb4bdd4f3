"""What networks are compared by: accuracy, or R2 where they answer numbers; both are 1 at best and shown in %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill.results.columns import missing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measure:
    """One way to say how good a network is.

    Attributes:
        name: Its column of `results.csv`, on test examples.
        held_out: Its column on validation examples.
        title: As headings have it.
        reached: What a network did, in a sentence with a place for the number.
        plain: What the baseline is.
        counts: Whether it is a share of the test examples, of which the sampling error is known.
    """

    name: str
    held_out: str
    title: str
    reached: str
    plain: str
    counts: bool


ACCURACY = Measure(
    "accuracy", "val_accuracy", "accuracy", "scored {}", "the same network trained on hard labels alone", counts=True
)
R2 = Measure(
    "r2", "val_r2", "R2", "explained {} of the variance", "the same network trained on the targets alone", counts=False
)


def measure_of(df: pd.DataFrame) -> Measure:
    """What the networks of a table are compared by; where both kinds are among them, in words of accuracy."""
    return R2 if df["r2"].notna().any() and not df["accuracy"].notna().any() else ACCURACY


def measure_for(run: Mapping[str, Any]) -> Measure:
    """What the networks of a run are compared by.

    Args:
        run: Its metadata (`run.json`).
    """
    return R2 if (run.get("dataset") or {}).get("targets") else ACCURACY


def scores(df: pd.DataFrame, *, held_out: bool = False) -> pd.Series:
    """How good each network of a table is, 1 at best; NaN where it is not known.

    Args:
        df: With the columns of `results.csv`.
        held_out: On validation examples instead of test examples.
    """
    names = [measure.held_out if held_out else measure.name for measure in (ACCURACY, R2)]
    return df[names[0]].fillna(df[names[1]])


def score(row: Mapping[str, Any]) -> float | None:
    """How good the network of a row is on test examples."""
    found = (row.get(measure.name) for measure in (ACCURACY, R2))
    return next((float(value) for value in found if value is not None and not missing(value)), None)


def known_score(facts: Mapping[str, Any], split: str) -> float | None:
    """How good a network is on a split, from a mapping such as a row of `metrics.csv`.

    Args:
        facts: Numbers by name.
        split: `train`, `val` or `test`.
    """
    found = (facts.get(f"{split}_{measure.name}") for measure in (ACCURACY, R2))
    return next((value for value in found if value is not None), None)
