"""What a number of runs show together: settings over seeds, the winner, and how surely it wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pandas as pd

from distill.results.caveats import covered, underpowered, warnings
from distill.results.columns import missing
from distill.results.frame import Rows, frame, setting, students, varying
from distill.results.measures import ACCURACY, R2, Measure, measure_of, scores
from distill.results.seeds import alike
from distill.results.statistics import Paired, Summary, compare, joint, summarise
from distill.results.verdict import verdict


@dataclass(frozen=True)
class Group:
    """Networks that differ in their seed alone.

    Attributes:
        role: Their role.
        model: Their network.
        label: Their setting in words, such as `T=4, alpha=0.9`; the role where nothing varies.
        keys: Their value of each of the study's keys; those they lack are left out.
        rows: One per network, no network twice.
        accuracy: Test accuracy, 0..1; R2 of a regression.
        val_accuracy: The same on validation examples; `None` unless it is known of every one.
        gain: Points over the baseline of the same run, hence of the same seed; `None` without baselines.
    """

    role: str
    model: str
    label: str
    keys: dict[str, Any]
    rows: pd.DataFrame
    accuracy: Summary
    val_accuracy: Summary | None
    gain: Paired | None


@dataclass(frozen=True)
class Comparison:
    """One setting against another.

    Attributes:
        first: The setting that is compared.
        second: What it is compared with.
        difference: Test accuracy (R2 of a regression) of the first minus that of the second, points, paired by seed.
    """

    first: Group
    second: Group
    difference: Paired


@dataclass(frozen=True)
class Study:
    """What joined runs show.

    Attributes:
        keys: In which the students differ, without the seed.
        groups: Teachers, what stands between, baselines, then students by setting.
        measure: What networks are compared by.
        winner: The setting to recommend; `None` where no student finished or their data sets differ.
        chosen_by: The column that it was chosen by.
        tried: Settings among which it was chosen.
        comparisons: The best setting of each method against that of every other, of the winner's network and data;
            of one method, the winner against its baseline.
        underpowered: Why no p-value here can come below .05, in words; `None` where one can.
        warnings: One sentence each about what stands in the way of a conclusion.
        sentence: The verdict.
    """

    keys: list[str]
    groups: list[Group]
    measure: Measure
    winner: Group | None
    chosen_by: str
    tried: int
    comparisons: list[Comparison]
    underpowered: str | None
    warnings: list[str]
    sentence: str

    @property
    def students(self) -> list[Group]:
        """The settings that were compared."""
        return [group for group in self.groups if group.role == "student"]

    @property
    def eligible(self) -> list[Group]:
        """The settings that have seeds enough to be chosen."""
        return covered(self.students)

    @property
    def several_seeds(self) -> bool:
        """Whether some setting was run with more than one seed."""
        return any(group.accuracy.n > 1 for group in self.students)

    @property
    def by_method(self) -> bool:
        """Whether `comparisons` are of methods with one another."""
        return bool(self.comparisons) and self.comparisons[0].second.role == "student"

    @property
    def compared(self) -> int:
        """How many p-values those of `comparisons` are corrected for."""
        if self.by_method:
            return len(self.comparisons)
        return sum(group.gain is not None for group in self.students)

    @property
    def by_validation(self) -> bool:
        """Whether test numbers had no part in the choice."""
        return self.chosen_by == self.measure.held_out

    def chosen(self, group: Group) -> Summary:
        """What the winner was chosen by, of one of the settings."""
        return group.val_accuracy or group.accuracy if self.by_validation else group.accuracy


def study(rows: Rows, runs: Sequence[Mapping[str, Any]] = ()) -> Study:
    """Joins runs by everything but the seed and compares what they reached.

    Args:
        rows: Of one run or of several joined ones, finished or not.
        runs: The runs' metadata (`run.json`): the size of the test set, and what was overridden.
    """
    df = _with_validation(frame(rows), runs)
    keys = varying(df)
    groups = _groups(df, keys)
    settings = [group for group in groups if group.role == "student"]
    held_out = bool(settings) and all(group.val_accuracy for group in settings)
    measure = measure_of(df)
    found = Study(
        keys=keys,
        groups=groups,
        measure=measure,
        winner=None,
        chosen_by=measure.held_out if held_out else measure.name,
        tried=len(settings),
        comparisons=[],
        underpowered=None,
        warnings=[],
        sentence="",
    )
    if settings and "dataset" not in keys:
        found = _decided(found, df)
    parts = _of_each(df, runs) if "dataset" in keys else {}
    told = [f"On {name}: {warning}" for name, part in parts.items() for warning in part.warnings]
    found = replace(found, warnings=[*warnings(found, runs), *told])
    verdicts = [f"On {name}: {part.sentence}" for name, part in parts.items()]
    return replace(found, sentence=" ".join([verdict(found, df, runs), *verdicts]))


def _of_each(df: pd.DataFrame, runs: Sequence[Mapping[str, Any]]) -> dict[str, Study]:
    """What the runs on each data set show."""
    found = {}
    for name in sorted({name for name in students(df)["dataset"] if name}):
        own = set(df.loc[(df["role"] == "student") & (df["dataset"] == name), "run"])
        found[name] = study(df[df["run"].isin(own)], [run for run in runs if run.get("run") in own])
    return found


def _with_validation(df: pd.DataFrame, runs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Students' accuracy or R2 on validation examples from their runs' metadata, where the rows do not tell it."""
    told = {}
    for name in (ACCURACY.held_out, R2.held_out):
        known = {run["run"]: run[name] for run in runs if run.get(name) is not None}
        if known:
            of_students = df["run"].where(df["role"] == "student").map(known).astype("float64")
            told[name] = df[name].fillna(of_students)
    return df.assign(**told) if told else df


def _groups(df: pd.DataFrame, keys: Sequence[str]) -> list[Group]:
    members = alike(df)
    accuracies = summarise([scores(rows).to_numpy() for rows in members])
    known = summarise([scores(rows, held_out=True).to_numpy() for rows in members])
    gains: dict[int, Paired] = {}
    of_role = [str(rows["role"].iloc[0]) for rows in members]
    for role in dict.fromkeys(of_role):
        places = [place for place, rows in enumerate(members) if of_role[place] == role and rows["gain"].notna().any()]
        if places:
            adjusted = joint(pd.concat([_gains(members[place]) for place in places], axis=1).to_numpy().T)
            compared = compare([members[place]["gain"].to_numpy() for place in places], adjusted)
            gains |= dict(zip(places, compared, strict=True))
    return [
        _group(role, rows, keys, accuracy, val if val.n == accuracy.n else None, gains.get(place))
        for place, (role, rows, accuracy, val) in enumerate(zip(of_role, members, accuracies, known, strict=True))
    ]


def _gains(rows: pd.DataFrame) -> pd.Series:
    """Points over the baseline, by seed."""
    known = rows["seed"].notna().all() and rows["seed"].is_unique
    return rows.set_index("seed")["gain"] if known else rows["gain"].reset_index(drop=True)


def _group(
    role: str,
    rows: pd.DataFrame,
    keys: Sequence[str],
    accuracy: Summary,
    val_accuracy: Summary | None,
    gain: Paired | None,
) -> Group:
    first = rows.iloc[0]
    held = {key: first[key] for key in keys if not missing(first[key])}
    if role != "student" and held.get("method") == "none":
        del held["method"]
    label = setting(held, list(held)) or ("default" if role == "student" and keys else "")
    if role != "student":
        label = f"{role}, {label}" if label else role
    return Group(role, str(first["model"]), label or role, held, rows, accuracy, val_accuracy, gain)


def _decided(found: Study, df: pd.DataFrame) -> Study:
    """The study with its winner, and what that is compared with."""
    chosen = found.chosen
    enough = found.eligible
    winner = max(enough, key=lambda group: chosen(group).mean)
    best: dict[str, Group] = {}
    for group in enough:
        method = _method(group)
        if _context(group) == _context(winner) and (
            method not in best or chosen(group).mean > chosen(best[method]).mean
        ):
            best[method] = group
    ranked = sorted(best.values(), key=lambda group: -chosen(group).mean)
    pairs = list(combinations(zip(ranked, map(_by_seed, ranked), strict=True), 2))
    differences = compare([(100.0 * (one - other)).dropna().to_numpy() for (_, one), (_, other) in pairs])
    comparisons = [
        Comparison(first, second, difference)
        for ((first, _), (second, _)), difference in zip(pairs, differences, strict=True)
    ]
    baseline = _baseline(found.groups, winner, df)
    if not comparisons and winner.gain is not None and baseline is not None:
        comparisons = [Comparison(winner, baseline, winner.gain)]
    found = replace(found, winner=winner, comparisons=comparisons)
    return replace(found, underpowered=underpowered(found))


def _method(group: Group) -> str:
    return str(group.rows["method"].iloc[0])


def _context(group: Group) -> dict[str, Any]:
    """What must be alike where two methods are to be compared: the network, and what it learned from."""
    return {"model": group.model, **{key: value for key, value in group.keys.items() if key.startswith("dataset.")}}


def _by_seed(group: Group) -> pd.Series:
    """What the network of each seed reached on test, 1 at best."""
    rows = group.rows.dropna(subset="seed")
    return scores(rows).set_axis(rows["seed"])


def _baseline(groups: Sequence[Group], winner: Group, df: pd.DataFrame) -> Group | None:
    """The baselines of the winner's runs."""
    own = set(df.loc[(df["role"] == "baseline") & df["run"].isin(winner.rows["run"]), "signature"])
    baselines = [group for group in groups if group.role == "baseline" and own & set(group.rows["signature"])]
    return max(baselines, key=lambda group: len(own & set(group.rows["signature"])), default=None)
