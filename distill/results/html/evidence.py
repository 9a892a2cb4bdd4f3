"""The runs of one setting, read closely: how they learned, and where each of their networks errs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from distill.results.collect import Collected, details, metrics
from distill.results.columns import missing
from distill.results.study import Group

ROLES = ("teacher", "baseline", "student")
_MOST = 24  # seeds; more would take longer to read than they would change a curve


@dataclass(frozen=True)
class Evidence:
    """What the runs of one setting left behind beside their tables.

    Attributes:
        rows: Of all their networks.
        metrics: Per network and epoch, with the `run` it is of; empty where nothing was recorded.
        networks: By role, the details of that network in each run that has them.
        classes: Names of the classes.
        tests: Test examples by class.
    """

    rows: pd.DataFrame
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    networks: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    tests: list[int] = field(default_factory=list)

    def mean(self, role: str, column: str) -> float:
        """Mean of a column over the networks of a role; NaN where it is not known."""
        return float(self.rows.loc[self.rows["role"] == role, column].mean())

    def class_accuracy(self, role: str) -> list[float]:
        """Mean accuracy by class, 0..1, NaN for a class without test examples; empty where nobody measured it."""
        measured = [network.get("class_accuracy") or [] for network in self.networks.get(role, [])]
        known = [one for one in measured if len(one) == len(self.classes)]
        by_class = zip(*known, strict=True) if known else ()
        return [_mean([share for share in shares if not missing(share)]) for shares in by_class]

    def errors(self, role: str) -> dict[tuple[int, int], float] | None:
        """Test examples per run by true and predicted class, wrong ones alone; `None` where nobody counted."""
        counted = [network["confusions"] for network in self.networks.get(role, []) if "confusions" in network]
        if not counted:
            return None
        total: dict[tuple[int, int], float] = {}
        for true, predicted, count in (one for confusions in counted for one in confusions):
            total[true, predicted] = total.get((true, predicted), 0.0) + count / len(counted)
        return total


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def read(found: Collected, setting: Group | None) -> Evidence:
    """Reads the runs of a setting.

    Args:
        found: All runs.
        setting: Students whose runs to read; `None` reads nothing.
    """
    if setting is None:
        return Evidence(found.rows.iloc[:0])
    names = list(dict.fromkeys(setting.rows["run"]))[:_MOST]
    rows = found.rows[found.rows["run"].isin(names)]
    place = {run["run"]: (run, folder) for run, folder in zip(found.runs, found.folders, strict=True)}
    curves: list[pd.DataFrame] = []
    networks: dict[str, list[Mapping[str, Any]]] = {}
    first: Mapping[str, Any] = {}
    for run, folder in (place[name] for name in names if name in place):
        first = first or (run.get("dataset") or {})
        curves.append(metrics(folder).assign(run=run["run"]))
        for role, network in (details(folder).get("networks") or {}).items():
            networks.setdefault(role, []).append(network)
    return Evidence(
        rows,
        pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
        networks,
        [str(label) for label in first.get("classes") or []],
        list(first.get("test_by_class") or []),
    )
