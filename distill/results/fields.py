"""The tables of a study as fields, which the terminal, Markdown and LaTeX show each in their way."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from distill.results.cells import key, role
from distill.results.columns import shown
from distill.results.frame import numeric
from distill.results.layout import ESSENTIAL, Field
from distill.results.statistics import p_shown
from distill.results.study import Comparison, Group, Study

MOST = 100  # settings in a table: of more nobody reads on
BOLD = "bold"


def best(found: Study, most: int) -> list[Group]:
    """All teachers and baselines, and of very many settings those that did best, in their order."""
    ranked = sorted(found.students, key=lambda group: -found.chosen(group).mean)
    kept = {id(group) for group in ranked[:most]}
    return [group for group in found.groups if group.role != "student" or id(group) in kept]


def settings(found: Study, most: int | None = None) -> list[Field]:
    """A row for each setting: accuracy and gain over seeds; of several, the recommended one's are `BOLD`.

    Args:
        found: What the runs show together.
        most: How many settings, beside all teachers and baselines; `None` for `MOST`.
    """
    groups = best(found, MOST if most is None else most)
    roles, gains = [group.role for group in groups], [group.gain for group in groups]
    styles = [BOLD if found.tried > 1 and group is found.winner else "" for group in groups]
    chosen = found.tried > 1 and found.by_validation
    tested = [gain if gain is not None and gain.n > 1 else None for gain in gains]

    def field(heading: str, cells: Sequence[str], weight: float, *, text: bool = False) -> Field:
        return Field(heading, [Text(cell) for cell in cells], weight, text=text)

    def mean(heading: str, cells: Sequence[str], brief: Sequence[str], weight: float) -> Field:
        whole, means = ([Text(*cell) for cell in zip(texts, styles, strict=True)] for texts in (cells, brief))
        return Field(heading, whole, weight, brief=means, yields=62)

    fields = [
        Field("role", [role(name) for name in roles], ESSENTIAL + 9, text=True),
        field("model", [group.model for group in groups], 35, text=True),
        *(key(name, [group.keys.get(name) for group in groups], roles) for name in found.keys if name != "model"),
        field("n", [str(group.accuracy.n) if found.several_seeds else "" for group in groups], ESSENTIAL + 6),
        field("validation\n%", [_validation(group) if chosen else "" for group in groups], 55),
        mean(
            f"{found.measure.title}\n%",
            [group.accuracy.shown(100.0) for group in groups],
            [f"{100 * group.accuracy.mean:.2f}" for group in groups],
            ESSENTIAL + 8,
        ),
        field("95 % interval\n%", [group.accuracy.interval(100.0) for group in groups], 40),
        field("RMSE", [_mean("rmse", group) for group in groups], 80),
        *(
            field(f"{name}\n%", [_mean(f"accuracy_{name}", group) for group in groups], weight)
            for name, weight in (("head", 72), ("mid", 71), ("tail", 78))
        ),
        field("forgetting\npoints", [_mean("forgetting", group) for group in groups], 79),
        mean(
            "gain\npoints",
            [gain.shown(sign=True) if gain else "" for gain in gains],
            [f"{gain.mean:+.2f}" if gain and gain.n else "" for gain in gains],
            ESSENTIAL + 7,
        ),
        field("95 % interval\npoints", [gain.interval(sign=True) if gain else "" for gain in gains], 70),
        field("p", [p_shown(gain.adjusted) if gain else "" for gain in tested], 85),
        field("wins", [gain.won if gain else "" for gain in tested], 58),
        field("params", [shown("params", group.rows["params"].iat[0]) for group in groups], 20),
        field("compression\nx", [shown("compression", group.rows["compression"].iat[0]) for group in groups], 19),
    ]
    return [field for field in fields if any(field.cells)]


def _validation(group: Group) -> str:
    return f"{100 * group.val_accuracy.mean:.2f}" if group.val_accuracy else ""


def _mean(name: str, group: Group) -> str:
    return shown(name, numeric(group.rows[name]).mean())


def about_settings(found: Study) -> str:
    """What the numbers of `settings` are."""
    left = len(found.students) - MOST
    more = f" The {MOST} settings that did best; {left:,} more are not shown." if left > 0 else ""
    if not found.several_seeds:
        return f"One seed each.{more}"
    tests = sum(group.gain is not None and group.gain.n > 1 for group in found.students)
    how = f", jointly corrected for {tests:,} settings" if tests > 1 else ""
    return (
        "Mean ± standard deviation over n seeds, with the mean's 95 % interval (BCa bootstrap); gain over the baseline "
        f"of the same seed, with p of the exact sign-flip test{how}, and the seeds won.{more}"
    )


def over_seeds(found: Study) -> list[Comparison]:
    """The comparisons that have more than one seed, of which alone more can be said than their difference."""
    return [one for one in found.comparisons if one.difference.n > 1]


def comparisons(made: Sequence[Comparison]) -> list[Field]:
    """A row for each comparison of two settings, paired by seed; no columns without any."""
    differences = [one.difference for one in made]

    def field(heading: str, cells: Sequence[str], weight: float, *, text: bool = False) -> Field:
        return Field(heading, [Text(cell) for cell in cells], weight, text=text)

    fields = [
        field("setting", [one.first.label for one in made], ESSENTIAL + 9, text=True),
        field("against", [one.second.label for one in made], ESSENTIAL + 9, text=True),
        field("n", [str(one.n) for one in differences], ESSENTIAL + 6),
        Field(
            "difference\npoints",
            [Text(one.shown(sign=True)) for one in differences],
            ESSENTIAL + 7,
            brief=[Text(f"{one.mean:+.2f}") for one in differences],
        ),
        field("95 % interval\npoints", [one.interval(sign=True) for one in differences], ESSENTIAL + 4),
        field("p", [p_shown(one.p) for one in differences], ESSENTIAL + 5),
        field("p, Holm", [p_shown(one.adjusted) for one in differences], ESSENTIAL + 5),
        field("wins", [one.won for one in differences], 58),
    ]
    return fields if made else []
