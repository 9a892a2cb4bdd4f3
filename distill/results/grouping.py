"""Networks grouped as the user wants: any measures over any keys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from distill.config.words import did_you_mean
from distill.errors import DistillError
from distill.results.collect import Collected
from distill.results.columns import COLUMNS, decimal, missing
from distill.results.frame import is_finished, numeric, order, unique, varying
from distill.results.measures import measure_of
from distill.results.seeds import roles
from distill.results.statistics import Summary, summarise

_NUMBERS = ("number", "integer")
_KEYS_OF_NUMBERS = ("T", "alpha", "seed", "batch")
_NO_KEYS = ("run", "status", "error", "signature")


@dataclass(frozen=True)
class Cell:
    """Networks of one role that are alike in the keys.

    Attributes:
        role: Their role.
        keys: Their value of each key; empty or NaN where it did not matter to them.
        measures: Each measure over their seeds, of which each is the mean of its networks, in the units of its column
            as stored; without an interval where the seeds have unequal numbers of networks.
        networks: How many they are, no network twice.
        seeds: How many seeds they have.
    """

    role: str
    keys: tuple[Any, ...]
    measures: tuple[Summary, ...]
    networks: int
    seeds: int


@dataclass(frozen=True)
class Grouping:
    """Cells in the order of their roles and keys.

    Attributes:
        keys: What the rows are grouped by: columns of `results.csv` or overridden keys.
        metrics: The measures, columns of `results.csv`.
        cells: Teachers and baselines too, for reference.
        pooled: What else varies between the students, the seed included, and is averaged over.
    """

    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    cells: tuple[Cell, ...]
    pooled: tuple[str, ...]


def group(found: Collected, keys: Sequence[str], metrics: Sequence[str]) -> Grouping:
    """Groups finished networks.

    Args:
        found: The runs.
        keys: Columns of `results.csv` or overridden keys, of which the end is enough where it is unambiguous
            (`lr` for `hparams.student.lr`); none for those that vary.
        metrics: Columns of `results.csv` that hold numbers; none for `accuracy` (`r2` of regressions).

    Raises:
        DistillError: There is no such key or measure here.
    """
    df = _with_overrides(found)
    df = df[is_finished(df)]
    named = [_key(name, df) for name in dict.fromkeys(keys)] or varying(df)
    measures = [_metric(name, df) for name in dict.fromkeys(metrics)] or [measure_of(df).name]
    once = unique(df)
    once = once[(once["signature"] == "") | ~once.duplicated(["role", "signature", *named])]
    parts = [
        (role, rows)
        for role in roles(df)
        for rows in _parts(order(once[once["role"] == role], [key for key in named if key != "role"]), named)
    ]
    summaries = [_over_seeds([rows for _, rows in parts], name) for name in measures]
    cells = [
        Cell(role, tuple(rows[key].iloc[0] for key in named), measured, len(rows), rows["seed"].nunique(dropna=False))
        for (role, rows), measured in zip(parts, zip(*summaries, strict=True), strict=True)
    ]
    pooled = [key for key in varying(df, seed=True) if key not in named]
    return Grouping(tuple(named), tuple(measures), tuple(cells), tuple(pooled))


def _parts(rows: pd.DataFrame, keys: Sequence[str]) -> Iterable[pd.DataFrame]:
    if not keys:
        return [rows]
    return [part for _, part in rows.groupby(list(keys), sort=False, dropna=False)]


def _over_seeds(parts: Sequence[pd.DataFrame], name: str) -> list[Summary]:
    """A measure over the seeds of each part: networks of one seed rise and fall together, and count as one."""
    values, even = [], []
    for rows in parts:
        known = numeric(rows[name])
        by_seed = known[known.notna()].groupby(rows["seed"], dropna=False)
        values.append(by_seed.mean().to_numpy())
        even.append(by_seed.count().nunique() <= 1)
    return [
        one if alike else replace(one, low=math.nan, high=math.nan)
        for one, alike in zip(summarise(values), even, strict=True)
    ]


def _with_overrides(found: Collected) -> pd.DataFrame:
    """All rows with every overridden key, also those that are the same in all runs."""
    alike = {key: value for run in reversed(found.runs) for key, value in run["overrides"].items()}
    added = {key: value for key, value in alike.items() if key not in found.rows.columns}
    return found.rows.assign(**added)


def _key(name: str, df: pd.DataFrame) -> str:
    added = [key for key in df.columns if key not in COLUMNS]
    known = [key for key in df.columns if key not in _NO_KEYS]
    if name in known:
        return name
    ends = [key for key in added if key.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise DistillError(f"--by {name} is not clear: it may be {' or '.join(ends)}.")
    texts = [key for key in known if key in COLUMNS and (COLUMNS[key].kind == "text" or key in _KEYS_OF_NUMBERS)]
    told = _filled([*dict.fromkeys(["role", *texts]), *added], df)
    raise DistillError(
        f"--by {name} is not allowed{did_you_mean(name, known)}: it must be one of {', '.join(told)}, or another "
        "column of results.csv."
    )


def _metric(name: str, df: pd.DataFrame) -> str:
    numbers = [key for key, column in COLUMNS.items() if column.kind in _NUMBERS and key not in _KEYS_OF_NUMBERS]
    measured = _filled(numbers, df)
    if name in measured:
        return name
    if name in numbers:
        wrong = f"--metric {name} was measured in none of these runs"
    elif name in df.columns:
        wrong = f"--metric {name} is no measure"
    else:
        wrong = f"--metric {name} is not allowed{did_you_mean(name, numbers)}"
    raise DistillError(f"{wrong}: it must be one of {', '.join(measured)}.")


def _filled(names: Iterable[str], df: pd.DataFrame) -> list[str]:
    return [name for name in names if name in df.columns and not df[name].map(missing).all()]


def spread(name: str, measured: Summary) -> str:
    """`95.56 ± 0.20` of a measure, in the unit and with the digits of its column.

    Mean and standard deviation; the mean alone of one value, or where all are equal.
    """
    column = COLUMNS[name]
    if not measured.n:
        return ""
    mean = decimal(measured.mean * column.scale, column.digits, sign=name == "gain")
    return f"{mean} ± {decimal(measured.std * column.scale, column.digits)}" if measured.std > 0 else mean


def interval(name: str, measured: Summary) -> str:
    """`95.40 to 95.71`, the 95 % interval of the mean likewise; nothing where there is none or all are equal."""
    column = COLUMNS[name]
    if not measured.std > 0 or math.isnan(measured.low):
        return ""
    ends = (measured.low, measured.high)
    return " to ".join(decimal(end * column.scale, column.digits, sign=name == "gain") for end in ends)


def unit(name: str) -> str:
    """The unit of a measure as shown, where its column has one; sizes are in MB here, to be comparable."""
    return "MB" if name == "size_mb" else COLUMNS[name].unit
