"""What the numbers say, in one plain sentence that claims no more than they show."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from distill.results.columns import missing
from distill.results.frame import Rows, frame, is_finished, records, setting, students, varying
from distill.results.seeds import Group, Mean, groups

SEEDS = 6
HARD = "the same network trained on hard labels alone"


def verdict(rows: Rows, runs: Sequence[Mapping[str, Any]] = ()) -> str:
    """Whether distillation helped, by how much, and how sure that is.

    Args:
        rows: Of one run or of several joined ones.
        runs: The runs' metadata (`run.json`): the size of the test set, and what was overridden.

    Returns:
        One sentence.
    """
    df = frame(rows)
    runs = [run for run in runs if run.get("status", "finished") == "finished"]
    finished = [group for group in groups(df) if group.role == "student"]
    unfinished = int((~is_finished(students(df))).sum())
    if not finished:
        return _nothing(df)
    if len(finished) > 1:
        return _of_settings(df, finished, unfinished, runs)
    group = finished[0]
    sentence = _of_one(df, group, runs) if group.accuracy.n == 1 else _of_seeds(df, group, runs)
    return sentence + _left_out(unfinished, len(students(df))) + "."


def _nothing(df: pd.DataFrame) -> str:
    failed = students(df)
    if not len(failed):
        return "There is no distilled student here, so there is nothing to compare."
    if len(failed) > 1:
        return f"None of {len(failed)} runs finished, so there is nothing to compare."
    row = failed.iloc[0]
    reason = f" ({row['error'].rstrip('.')})" if row["error"] else ""
    return (
        f"The distilled student has not finished: the run is {row['status']}{reason}, so there is nothing to compare."
    )


def _left_out(unfinished: int, total: int) -> str:
    return f"; {unfinished} of {total} runs did not finish" if unfinished else ""


def _of_one(df: pd.DataFrame, group: Group, runs: Sequence[Mapping[str, Any]]) -> str:
    student = group.rows.iloc[0]
    run = df[df["run"] == student["run"]]
    tests = _test_examples(runs)
    seed = "" if missing(student["seed"]) else f" (seed {student['seed']:.0f})"
    sentence = f"In this one run{seed} the distilled student scored {_percent(student['accuracy'], tests)}"
    plain = _accuracy(run, "baseline")
    repeat = f"repeat with `{_repeat(runs, range(SEEDS))}`"
    if plain is None:
        return f"{sentence}; without a baseline it does not show whether distillation helped"
    error = max(_sampling_error(p, tests) for p in (plain, student["accuracy"]))
    gain = student["accuracy"] - plain
    if gain == 0:
        sentence += f", exactly what {HARD} scored"
    else:
        sentence += f", {_points(gain, tests)} {'above' if gain > 0 else 'below'} {HARD}"
    noise = tests is not None and 0 < abs(gain) < error
    if noise:
        sentence += f", which is within the noise of a test set of {tests:,} examples (± {_points(error, tests)})"
    sentence += _towards_teacher(student, run, plain, tests, said_gain=gain > 0 and not noise)
    return f"{sentence}; one seed does not tell luck from effect: {repeat}"


def _towards_teacher(student: pd.Series, run: pd.DataFrame, plain: float, tests: int | None, *, said_gain: bool) -> str:
    best = _accuracy(run, "teacher")
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
    over = student["accuracy"] - best
    if over > 0:
        return f" and {_points(over, tests)} above the teacher itself{smaller}"
    if over == 0:
        return f" and level with the teacher{smaller}"
    return f" and {100 * student['recovered']:.0f} % of the way to the teacher{smaller}"


def _smaller(student: pd.Series) -> str:
    ratio = student["compression"]
    return f", with {ratio:.1f}x fewer parameters than the teacher" if ratio > 1 else ""


def _of_seeds(df: pd.DataFrame, group: Group, runs: Sequence[Mapping[str, Any]]) -> str:
    n = group.accuracy.n
    sentence = f"Over {n} seeds the distilled student scored {group.accuracy.shown(100.0)} % on average"
    if not group.gain.n:
        return f"{sentence}; without a baseline it does not show whether distillation helped"
    sentence += f", {_gain_in_words(group.gain)} {HARD} (mean ± standard error, paired by seed)"
    sentence += _smaller(group.rows.iloc[0])
    if group.gain.n < 2:
        return f"{sentence}; only one seed has a baseline, which does not tell luck from effect"
    low, high = group.gain.interval()
    interval = f"the 95 % interval of the gain, {low:+.2f} to {high:+.2f} points,"
    if low > 0:
        sentence += f"; {interval} lies above zero, so luck of the seed alone does not explain it"
    elif high < 0:
        sentence += f"; {interval} lies below zero: distillation did harm here"
    else:
        sentence += f"; {interval} includes zero, so these seeds do not show that distillation helps or harms"
    run = df[df["run"].isin(group.rows["run"])]
    best, plain = (Mean.of(run[run["role"] == role]["accuracy"]).mean for role in ("teacher", "baseline"))
    if best <= plain:
        sentence += "; the teacher is on average no better than the baseline, so it had nothing to hand down"
    return sentence


def _gain_in_words(gain: Mean) -> str:
    error = "" if gain.n < 2 else f" ± {gain.error:.2f}"
    return f"{abs(gain.mean):.2f}{error} points {'above' if gain.mean >= 0 else 'below'}"


def _of_settings(df: pd.DataFrame, found: Sequence[Group], unfinished: int, runs: Sequence[Mapping[str, Any]]) -> str:
    keys = varying(df)
    if "dataset" in keys:
        names = sorted(set(students(df)["dataset"]))
        return (
            f"These runs learned {len(names)} data sets ({', '.join(names)}), whose accuracies do not compare: "
            "report the runs of one at a time."
        )
    # Settings may differ in the network; then gains compare where accuracies do not.
    compared = all(group.gain.n for group in found)
    held_out = _held_out(found, runs)
    row, best = _best(found, compared, held_out)
    k = len(found)
    named = setting(row, keys) or "the default"
    if held_out:
        chosen = f"did best on validation examples ({100 * max(held_out):.2f} %)"
        sentence = f"Of {k} settings {named} {chosen}: {best.accuracy.shown(100.0)} % on test"
    else:
        # Where another setting scored higher, "best" would say too much.
        did = "did best" if best.accuracy.mean >= max(group.accuracy.mean for group in found) else "gained most"
        sentence = f"Of {k} settings {named} {did}: {best.accuracy.shown(100.0)} %"
    if compared:
        sentence += f", {_gain_in_words(best.gain)} {HARD}"
        if best.gain.mean <= 0 and not held_out:
            sentence += ", so none of them beat the baseline"
    sentence += _over_seeds(best.accuracy.n)
    sentence += _left_out(unfinished, len(students(df)))
    taken = int(df["seed"].max()) + 1 if df["seed"].notna().any() else 0
    own = [run for run in runs if run.get("run") == row["run"]]
    confirm = _repeat(own, range(taken, taken + SEEDS))
    if held_out:
        return f"{sentence}; test numbers had no part in the choice; see more seeds with `{confirm}`."
    return f"{sentence}; the best of {k} was picked on test numbers, which flatters it: confirm it with `{confirm}`."


def _held_out(found: Sequence[Group], runs: Sequence[Mapping[str, Any]]) -> list[float]:
    """Mean accuracy of each setting on validation examples, 0..1; empty unless it is known of all."""
    known = {run["run"]: float(run["val_accuracy"]) for run in runs if run.get("val_accuracy") is not None}
    means = [Mean.of(known[name] for name in group.rows["run"] if name in known) for group in found]
    return [mean.mean for mean in means] if all(mean.n for mean in means) else []


def _best(found: Sequence[Group], compared: bool, held_out: Sequence[float]) -> tuple[dict[str, Any], Group]:
    """The setting to recommend, and its first row; examples that nobody trained or tests on choose fairly."""
    reached = held_out or [group.gain.mean if compared else group.accuracy.mean for group in found]
    best = found[max(range(len(found)), key=lambda number: reached[number])]
    return records(best.rows)[0], best


def _over_seeds(n: int) -> str:
    return ", in one seed" if n == 1 else f" (mean ± standard error over {n} seeds)"


def _repeat(runs: Sequence[Mapping[str, Any]], seeds: range) -> str:
    overrides: Mapping[str, str] = runs[0].get("overrides") or {} if runs else {}
    places = runs[0].get("places") or [] if runs else []
    kept = [*places, *(f"{key}={value}" for key, value in overrides.items() if key != "seed")]
    return shlex.join(["distill", "train", "-m", *kept, f"seed={','.join(map(str, seeds))}"])


def _test_examples(runs: Sequence[Mapping[str, Any]]) -> int | None:
    sizes = [(run.get("dataset") or {}).get("test") for run in runs]
    return min((int(size) for size in sizes if size), default=None)


def _sampling_error(share: float, tests: int | None) -> float:
    return math.sqrt(share * (1 - share) / tests) if tests else 0.0


def _accuracy(run: pd.DataFrame, role: str) -> float | None:
    known = run[run["role"] == role]["accuracy"].dropna()
    return float(known.iloc[0]) if len(known) else None


def _digits(tests: int | None) -> int:
    # One example of a small test set is worth more than a tenth of a point.
    return 1 if tests is None or tests < 2000 else 2


def _percent(share: float, tests: int | None) -> str:
    return f"{100 * share:.{_digits(tests)}f} %"


def _points(share: float, tests: int | None) -> str:
    return f"{100 * abs(share):.{_digits(tests)}f} points"
