"""The two tables of the page: settings over seeds, and every network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distill.results.collect import Collected
from distill.results.columns import COLUMNS
from distill.results.frame import unique, varying
from distill.results.html.averages import averages
from distill.results.html.table import Table, TableColumn, filled, measure, setting, short_titles
from distill.results.measures import Measure
from distill.results.statistics import Paired, Summary
from distill.results.study import Group, Study

# What a reader decides by comes first; the rest is a click away.
_FIRST = (
    "accuracy",
    "r2",
    "gain",
    "rmse",
    "recovered",
    "params",
    "compression",
    "size_mb",
    "latency_ms",
    "agreement",
    "nll",
    "ece",
)
_DECISIVE = ("accuracy", "r2", "gain")
_TOLD = {"run", "role", "model", "seed", "status", "error", "signature"}


def settings(outcome: Study) -> Table | None:
    """A row for each setting with means over its seeds."""
    others = [one for one in outcome.groups if one.role != "student"]
    groups = [*others, *sorted(outcome.students, key=lambda one: -one.accuracy.mean)]
    if not groups:
        return None
    keys = [key for key in outcome.keys if key != "model"]
    titles = short_titles(keys)
    over_seeds = _over_seeds(groups, outcome.measure)
    # A phone has room for what tells settings apart, and these two.
    first = [column for column in over_seeds if column.key in _DECISIVE]
    columns = [
        _role([one.role for one in groups]),
        _model([one.role for one in groups], [one.model for one in groups]),
        *(setting(key, [one.keys.get(key) for one in groups], titles[key]) for key in keys),
        *first,
        TableColumn("n", "n", [one.accuracy.n for one in groups], meaning="seeds", digits=0),
        *(column for column in over_seeds if column not in first),
        *_means(groups, outcome.measure),
    ]
    return Table("settings", "All settings", filled(columns), [])


def _role(roles: Sequence[str]) -> TableColumn:
    return TableColumn("role", "role", roles, meaning=COLUMNS["role"].meaning, shown=len(set(roles)) > 1)


def _model(roles: Sequence[str], models: Sequence[str]) -> TableColumn:
    # The page has said which network each role has; on a phone a column that repeats it hides the accuracy.
    kinds = {(role, model) for role, model in zip(roles, models, strict=True) if model}
    several = len(kinds) > len({role for role, _ in kinds})
    return TableColumn("model", "model", models, meaning=COLUMNS["model"].meaning, shown=several)


def _over_seeds(groups: Sequence[Group], by: Measure) -> list[TableColumn]:
    def reached(key: str, title: str, meaning: str, of: Callable[[Summary], float]) -> TableColumn:
        cells = [100 * of(one.accuracy) for one in groups]
        return TableColumn(key, title, cells, unit="%", meaning=meaning, digits=2)

    def gain(key: str, title: str, meaning: str, of: Callable[[Paired], float], fewest: int = 1) -> TableColumn:
        cells = [of(one.gain) if one.gain is not None and one.gain.n > fewest else None for one in groups]
        return TableColumn(key, title, cells, unit="points", meaning=meaning, digits=2, sign=True)

    paired = [one.gain if one.gain is not None and one.gain.n > 1 else None for one in groups]
    return [
        reached(by.name, by.title, f"mean test {by.title}", lambda one: one.mean),
        reached("std", "std", f"standard deviation of {by.title} over seeds", lambda one: one.std),
        reached("low", f"{by.title} from", "lower end of the 95 % interval of the mean", lambda one: one.low),
        reached("high", "to", "its upper end", lambda one: one.high),
        gain("gain", "gain", "mean difference to the baseline, paired by seed", lambda one: one.mean, 0),
        gain("gain_low", "gain from", "lower end of its 95 % interval", lambda one: one.low),
        gain("gain_high", "to", "its upper end", lambda one: one.high),
        TableColumn(
            "p",
            "p",
            [one.adjusted if one is not None else None for one in paired],
            meaning="two-sided sign-flip test, corrected for all that is compared here",
            digits=3,
        ),
        TableColumn(
            "wins",
            "seeds won",
            [one.won if one is not None else "" for one in paired],
            meaning="seeds in which it is above its baseline",
        ),
    ]


def _means(groups: Sequence[Group], by: Measure) -> list[TableColumn]:
    first = [by.held_out, *(name for name in _FIRST if name not in (by.name, "gain"))]
    names = [
        *first,
        *(name for name, column in COLUMNS.items() if column.kind in ("number", "integer")),
    ]
    left_out = {by.name, "gain", "seed", "T", "alpha", "batch", "epoch", "errors"}
    kept = [name for name in dict.fromkeys(names) if name not in left_out]
    means = averages(groups, kept)
    return [measure(name, means[name].tolist(), shown=name in first) for name in kept]


def networks(found: Collected) -> Table:
    """A row for each network, those that several runs share once, and for each run that did not finish."""
    df = unique(found.rows)
    number = {run["run"]: place for place, run in enumerate(found.runs)}
    keys = [key for key in varying(df) if key not in _TOLD]
    titles = short_titles(keys)
    statuses = [status or "finished" for status in df["status"]]
    columns = [
        _role(df["role"].tolist()),
        _model(df["role"].tolist(), df["model"].tolist()),
        *(setting(key, df[key].tolist(), titles[key]) for key in keys),
        *(measure(name, df[name].tolist()) for name in _DECISIVE),
        measure("seed", df["seed"].tolist(), shown=df["seed"].nunique() > 1),
        TableColumn("status", "status", statuses, meaning=COLUMNS["status"].meaning, shown=len(set(statuses)) > 1),
    ]
    taken = {*_TOLD, *keys, *_DECISIVE}
    for name in (*_FIRST, *(other for other in COLUMNS if other not in _FIRST)):
        if name in taken:
            continue
        kind = COLUMNS[name].kind
        cells = df[name].tolist()
        if kind in ("number", "integer"):
            columns.append(measure(name, cells, shown=name in _FIRST))
        else:
            texts = [("yes" if cell else "no") for cell in cells] if kind == "flag" else cells
            columns.append(TableColumn(name, COLUMNS[name].heading, texts, meaning=COLUMNS[name].meaning, shown=False))
    columns += [
        TableColumn("error", "error", df["error"].tolist(), meaning=COLUMNS["error"].meaning, shown=False),
        TableColumn("run", "run", df["run"].tolist(), meaning=COLUMNS["run"].meaning, shown=False),
    ]
    return Table("networks", "All networks", filled(columns), [number.get(name, 0) for name in df["run"]])
