"""What a study shows, in plain words that claim no more than the numbers do."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distill.results.columns import missing
from distill.results.frame import is_finished, students
from distill.results.measures import ACCURACY, Measure, scores
from distill.results.statistics import LEVEL, SEEDS, Paired, p_shown

if TYPE_CHECKING:
    from distill.results.study import Group, Study


def verdict(found: Study, df: pd.DataFrame, runs: Sequence[Mapping[str, Any]] = ()) -> str:
    """Whether distillation helped, which setting did best, by how much, and how sure that is.

    Args:
        found: What the runs show together.
        df: Their rows, also those of students that did not finish.
        runs: The runs' metadata (`run.json`): the size of the test set, and what was overridden.

    Returns:
        One or two sentences.
    """
    runs = [run for run in runs if run.get("status", "finished") == "finished"]
    unfinished, total = int((~is_finished(students(df))).sum()), len(students(df))
    if not found.students:
        return _nothing(df)
    if found.winner is None:
        names = sorted({name for name in students(df)["dataset"] if name})  # a run that never began knows none
        return f"These runs learned {len(names)} data sets ({', '.join(names)}), whose accuracies do not compare."
    left_out = f"; {unfinished} of {total} runs did not finish" if unfinished else ""
    if found.tried > 1:
        return _of_settings(found, found.winner, df, runs, left_out)
    if found.winner.accuracy.n == 1:
        return f"{_of_one(df, found.measure, found.winner, runs)}{left_out}."
    return _of_seeds(found, found.winner, df, runs, left_out)


def _nothing(df: pd.DataFrame) -> str:
    failed = students(df)
    if not len(failed):
        return "There is no distilled student here, so there is nothing to compare."
    if len(failed) > 1:
        return f"None of {len(failed)} runs finished, so there is nothing to compare."
    row = failed.iloc[0]
    how = {"interrupted": "was interrupted", "running": "has not come to its end yet"}.get(row["status"], "failed")
    return f"There is no distilled student to compare: the run {how}."


def _of_one(df: pd.DataFrame, measure: Measure, group: Group, runs: Sequence[Mapping[str, Any]]) -> str:
    student = group.rows.iloc[0]
    run = df[df["run"] == student["run"]]
    tests = examples_tested(runs, measure)
    seed = "" if missing(student["seed"]) else f" (seed {student['seed']:.0f})"
    reached = group.accuracy.mean
    sentence = f"In this one run{seed} the distilled student {measure.reached.format(_percent(reached, tests))}"
    plain = _reached(run, "baseline")
    repeat = f"repeat with `{_repeat(runs, range(SEEDS))}`"
    if plain is None:
        return f"{sentence}; without a baseline it does not show whether distillation helped"
    error = max(sampling_error(p, tests) for p in (plain, reached))
    gain = reached - plain
    if gain == 0:
        sentence += f", exactly what {measure.plain} reached"
    else:
        sentence += f", {_points(gain, tests)} {'above' if gain > 0 else 'below'} {measure.plain}"
    noise = tests is not None and 0 < abs(gain) < error
    if noise:
        sentence += f", which is within the noise of a test set of {tests:,} examples (± {_points(error, tests)})"
    sentence += _towards_teacher(student, run, plain, tests, said_gain=gain > 0 and not noise)
    return f"{sentence}; one seed does not tell luck from effect: {repeat}"


def _towards_teacher(student: pd.Series, run: pd.DataFrame, plain: float, tests: int | None, *, said_gain: bool) -> str:
    best = _reached(run, "teacher")
    if best is None:
        return ""
    smaller = _smaller(student)
    if best <= plain:
        return (
            f"{smaller}; the teacher ({_percent(best, tests)}) is no better than that baseline "
            f"({_percent(plain, tests)}), so it had nothing to hand down and the share recovered is undefined"
        )
    if not said_gain:
        return smaller
    over = scores(student.to_frame().T).iloc[0] - best
    if over > 0:
        return f" and {_points(over, tests)} above the teacher itself{smaller}"
    if over == 0:
        return f" and level with the teacher{smaller}"
    return f" and {100 * student['recovered']:.0f} % of the way to the teacher{smaller}"


def _smaller(student: pd.Series) -> str:
    ratio = student["compression"]
    return f", with {ratio:.1f}x fewer parameters than the teacher" if ratio > 1 else ""


def _of_seeds(found: Study, group: Group, df: pd.DataFrame, runs: Sequence[Mapping[str, Any]], left_out: str) -> str:
    accuracy = f"{group.accuracy.shown(100.0)} % (mean ± standard deviation)"
    sentence = f"Over {group.accuracy.n} seeds the distilled student {found.measure.reached.format(accuracy)}"
    if group.gain is None:
        return f"{sentence}; without a baseline it does not show whether distillation helped{left_out}."
    sentence += f", {_gap(group.gain.mean, found.measure.plain)}{_smaller(group.rows.iloc[0])}{left_out}."
    sure = f"{_claim(found, group.gain)} {_evidence(found, group.gain)}"
    if found.underpowered:
        sure += f": {found.underpowered}; repeat with `{_repeat(runs, range(SEEDS))}`"
    run = df[df["run"].isin(group.rows["run"])]
    best, plain = (scores(run[run["role"] == role]).mean() for role in ("teacher", "baseline"))
    if best <= plain:
        sure += "; the teacher is on average no better than the baseline, so it had nothing to hand down"
    return f"{sentence} {sure}."


def _of_settings(
    found: Study, winner: Group, df: pd.DataFrame, runs: Sequence[Mapping[str, Any]], left_out: str
) -> str:
    n, held_out = winner.accuracy.n, found.by_validation
    name = "the default" if winner.label == "default" else winner.label
    where = f" on validation examples ({100 * found.chosen(winner).mean:.2f} %)" if held_out else ""
    over = f"(mean ± standard deviation over {n} seeds)" if n > 1 else "in one seed"
    few = found.tried - len(found.eligible)
    of_few = f", {few} of them with too few seeds to be chosen," if few else ""
    sentence = f"Of {found.tried} settings{of_few} {name} did best{where}{_level(found, winner)}: "
    named = "" if found.measure is ACCURACY else f" {found.measure.title}"
    sentence += f"{winner.accuracy.shown(100.0)} %{named} on test {over}"
    if winner.gain is not None:
        sentence += f", {_gap(winner.gain.mean, found.measure.plain)}"
    if found.by_method:
        sentence += f"; {_beside_methods(found, winner)}"
    else:
        sentence += _smaller(winner.rows.iloc[0])
    return f"{sentence}{left_out}. {_how_surely(found, winner)}{_advice(found, df, runs)}."


def _beside_methods(found: Study, winner: Group) -> str:
    comparison = found.comparisons[0]
    second = f"the next best method, {comparison.second.label}"
    told = []
    if smaller := _smaller(winner.rows.iloc[0]):
        told.append(smaller.replace(", with", "it has"))
    if winner.gain is not None and winner.gain.n > 1:
        told.append(f"its gain has a corrected {_p(winner.gain.adjusted)}")
    told.append(f"it is {_gap(comparison.difference.mean, second)}")
    return " and ".join([", ".join(told[:-1]), told[-1]] if told[1:] else told)


def _level(found: Study, winner: Group) -> str:
    """Settings that no reader of the table could tell from the winner."""
    reached = round(100 * found.chosen(winner).mean, 2)
    others = sum(round(100 * found.chosen(group).mean, 2) == reached for group in found.students) - 1
    return f", level with {others} other{'s' if others > 1 else ''} to two digits" if others else ""


def _how_surely(found: Study, winner: Group) -> str:
    gains = [group.gain.mean for group in found.students if group.gain is not None]
    if len(gains) == found.tried and max(gains) <= 0 and not found.by_method:
        return "None of them beat the baseline"
    difference = found.comparisons[0].difference if found.by_method else winner.gain
    if difference is None:
        return "Without a baseline that does not show whether distillation helped"
    if not difference.n:
        return "The two methods have no seed in common, so they do not compare"
    if difference.n == 1:
        return "One seed does not tell luck from effect"
    weak = f", {found.underpowered}" if found.underpowered else ""
    return f"{_claim(found, difference)} {_evidence(found, difference)}{weak}"


def _advice(found: Study, df: pd.DataFrame, runs: Sequence[Mapping[str, Any]]) -> str:
    assert found.winner is not None
    compared = [found.comparisons[0].first, found.comparisons[0].second] if found.by_method else [found.winner]
    taken = int(df["seed"].max()) + 1 if df["seed"].notna().any() else 0
    names = [group.rows["run"].iloc[0] for group in compared]
    own = [run for name in names for run in runs if run.get("run") == name]
    confirm = f"confirm it on fresh seeds with `{_repeat(own, range(taken, taken + SEEDS))}`"
    if not found.by_validation:
        return f"; the best of {found.tried} was picked on test numbers, which flatters it: {confirm}"
    settled = found.comparisons and found.comparisons[0].difference.adjusted <= LEVEL
    return "; test numbers had no part in the choice" + ("" if settled else f": {confirm}")


def _claim(found: Study, difference: Paired) -> str:
    """What may be said of a difference over several seeds."""
    surely = difference.adjusted <= LEVEL
    if found.by_method:
        return "Luck of the seed does not explain which method is ahead" if surely else "Which is better stays open"
    if surely:
        return "Luck of the seed does not explain the gain" if difference.mean > 0 else "Distillation did harm here"
    if found.underpowered:
        return "Whether that is more than luck of the seed stays open"
    return "These seeds do not show that distillation helps or harms"


def _evidence(found: Study, difference: Paired) -> str:
    """`(paired by seed: 95 % interval +0.93 to +1.99 points, better in 6 of 6 seeds, p = .031)`."""
    told = _p(difference.p)
    if found.compared > 1:
        why = f"after Holm's correction for {found.compared} comparisons of methods"
        if not found.by_method:
            why = f"corrected for the choice among {found.compared} settings"
        corrected = "also" if p_shown(difference.adjusted) == p_shown(difference.p) else p_shown(difference.adjusted)
        told += f", {corrected} {why}"
    return (
        f"(paired by seed: 95 % interval {difference.interval(sign=True)} points, better in "
        f"{difference.wins * difference.n:g} of {difference.n} seeds, {told})"
    )


def _p(p: float) -> str:
    text = p_shown(p)
    return f"p {text[0]} {text[1:]}" if text.startswith("<") else f"p = {text}"


def _gap(points: float, other: str) -> str:
    if math.isnan(points):
        return f"beside {other}"
    return f"{abs(points):.2f} points {'above' if points > 0 else 'below'} {other}" if points else f"level with {other}"


def _repeat(runs: Sequence[Mapping[str, Any]], seeds: range) -> str:
    """The command that runs the first run's setting, and of a second run that differs in its method alone this too."""
    asked = [{key: value for key, value in (run.get("overrides") or {}).items() if key != "seed"} for run in runs]
    overrides: dict[str, str] = asked[0] if asked else {}
    alike = len(asked) == 2 and {**overrides, "method": ""} == {**asked[1], "method": ""} and overrides != asked[1]
    if alike and "method" in overrides:
        overrides = {**overrides, "method": f"{overrides['method']},{asked[1]['method']}"}
    kept = [*(runs[0].get("places") or [] if runs else []), *(f"{key}={value}" for key, value in overrides.items())]
    if seeds.start == 0:
        return shlex.join(["distill", "train", *kept, f"seeds={len(seeds)}"])
    return shlex.join(["distill", "train", "-m", *kept, f"seed={','.join(map(str, seeds))}"])


def examples_tested(runs: Sequence[Mapping[str, Any]], measure: Measure = ACCURACY) -> int | None:
    """The size of the smallest test set of some runs, where it is known and the measure is a share of it."""
    if not measure.counts:
        return None
    sizes = [(run.get("dataset") or {}).get("test") for run in runs]
    return min((int(size) for size in sizes if size), default=None)


def sampling_error(share: float, tests: int | None) -> float:
    """Standard error of a share of test examples, 0..1; 0 where their number is not known."""
    return math.sqrt(share * (1 - share) / tests) if tests else 0.0


def _reached(run: pd.DataFrame, role: str) -> float | None:
    known = scores(run[run["role"] == role]).dropna()
    return float(known.iloc[0]) if len(known) else None


def _digits(tests: int | None) -> int:
    # One example of a small test set is worth more than a tenth of a point.
    return 1 if tests is None or tests < 2000 else 2


def _percent(share: float, tests: int | None) -> str:
    return f"{100 * share:.{_digits(tests)}f} %"


def _points(share: float, tests: int | None) -> str:
    return f"{100 * abs(share):.{_digits(tests)}f} points"
