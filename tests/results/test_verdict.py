from collections.abc import Sequence
from typing import Any

import pytest

from distill.results.study import study

from .conftest import Rows, three

RUN: dict[str, Any] = {"run": "run", "dataset": {"test": 540}, "overrides": {"method": "hinton", "T": "4"}}


def verdict(rows: Rows, runs: Sequence[dict[str, Any]] = ()) -> str:
    return study(rows, runs).sentence


def joined(*runs: Rows) -> Rows:
    return [{**row, "run": f"run{i}"} for i, rows in enumerate(runs) for row in rows]


def test_one_seed_is_told_with_its_gain_its_share_and_how_to_repeat_it():
    sentence = verdict(three(student=0.955, baseline=0.94, teacher=0.98), [RUN])
    assert "In this one run (seed 0)" in sentence
    assert "95.5 %, 1.5 points above" in sentence
    assert "38 % of the way to the teacher" in sentence
    assert "1.9x fewer parameters" in sentence
    assert "`distill train method=hinton T=4 seeds=6`" in sentence


@pytest.mark.parametrize(("student", "word"), [(0.945, "above"), (0.935, "below")])
def test_a_difference_below_the_sampling_error_is_noise(student: float, word: str):
    # sqrt(.94 * .06 / 540) is 1.02 points.
    sentence = verdict(three(student=student, baseline=0.94), [RUN])
    assert f"0.5 points {word}" in sentence
    assert "within the noise of a test set of 540 examples (± 1." in sentence
    assert "of the way" not in sentence


def test_a_worse_student_is_called_worse():
    sentence = verdict(three(student=0.90, baseline=0.94), [RUN])
    assert "4.0 points below" in sentence
    assert "noise" not in sentence


def test_an_equal_student_is_called_equal():
    assert "exactly what" in verdict(three(student=0.94, baseline=0.94), [RUN])


def test_a_student_above_its_teacher_is_not_a_share():
    assert "1.0 points above the teacher itself" in verdict(three(0.99, 0.94, 0.98), [RUN])


def test_a_teacher_that_is_no_better_has_nothing_to_hand_down():
    sentence = verdict(three(student=0.96, baseline=0.94, teacher=0.93), [RUN])
    assert "nothing to hand down" in sentence
    assert "undefined" in sentence


def seeds(*gains: float, n: int = 6, **more: Any) -> Rows:
    """A run for each seed, with gains in points over a baseline of 94 %."""
    given = gains * n if len(gains) == 1 else gains
    return joined(*(three(0.94 + gain / 100, 0.94, seed=i, **more) for i, gain in enumerate(given)))


def test_several_seeds_give_mean_interval_p_and_wins():
    sentence = verdict(seeds(1.0, 2.0, 3.0, 2.0, 2.0, 2.0), [RUN])
    assert sentence.startswith(
        "Over 6 seeds the distilled student scored 96.00 ± 0.63 % (mean ± standard deviation), 2.00 points above"
    )
    # Six wins of six have p = 2/64.
    assert "Luck of the seed does not explain the gain (paired by seed: 95 % interval +1.50 to +2.50" in sentence
    assert sentence.endswith("better in 6 of 6 seeds, p = .031).")


def test_three_seeds_are_called_underpowered():
    sentence = verdict(seeds(1.0, 2.0, 3.0), [RUN])
    assert "Whether that is more than luck of the seed stays open" in sentence
    assert "underpowered (n=3: smallest possible p is .25); repeat with `distill train" in sentence


def test_gains_of_both_signs_show_nothing():
    sentence = verdict(seeds(1.0, -2.0, 3.0, -1.0, 0.5, -1.0), [RUN])
    assert "These seeds do not show that distillation helps or harms" in sentence
    assert "better in 3 of 6 seeds" in sentence
    assert "underpowered" not in sentence


def test_a_clear_loss_over_seeds_is_called_harm():
    sentence = verdict(seeds(-1.0, -2.0, -3.0, -2.0, -2.0, -2.0), [RUN])
    assert "2.00 points below" in sentence
    assert "Distillation did harm here" in sentence


def test_a_teacher_below_the_baseline_is_told_over_seeds_too():
    rows = joined(*(three(0.95, 0.94, 0.90, seed=i) for i in range(3)))
    assert "the teacher is on average no better than the baseline" in verdict(rows, [RUN])


def swept(values: dict[float, float], *, validation: dict[float, float] | None = None, n: int = 1) -> Rows:
    """A run for each T and seed: test accuracies in %, of seed 0; the baseline has 94 %."""
    found = []
    for T, accuracy in values.items():
        for seed in range(n):
            rows = three((accuracy + 0.1 * seed) / 100, 0.94, T=T, seed=seed)
            rows[2]["val_accuracy"] = validation[T] / 100 if validation else None
            found.append(rows)
    return joined(*found)


def test_the_best_of_a_sweep_is_named_and_warned_about():
    runs = [{"run": f"run{i}", "overrides": {"T": T}} for i, T in enumerate("1248")]
    sentence = verdict(swept({1.0: 95.0, 2.0: 95.0, 4.0: 96.0, 8.0: 95.0}), runs)
    assert "Of 4 settings T=4 did best: 96.00 % on test in one seed, 2.00 points above" in sentence
    assert "One seed does not tell luck from effect" in sentence
    assert "the best of 4 was picked on test numbers, which flatters it" in sentence
    assert "`distill train -m T=4 seed=1,2,3,4,5,6`" in sentence


def test_validation_examples_choose_the_best_where_there_are_some():
    sentence = verdict(swept({1.0: 95.0, 2.0: 95.0, 4.0: 96.0}, validation={1.0: 90.0, 2.0: 91.0, 4.0: 90.0}))
    assert "Of 3 settings T=2 did best on validation examples (91.00 %): 95.00 % on test in one seed" in sentence
    assert "1.00 points above" in sentence
    assert "test numbers had no part in the choice" in sentence
    assert "flatters" not in sentence


def test_a_sweep_over_seeds_is_corrected_for_its_settings():
    sentence = verdict(swept({1.0: 95.0, 4.0: 96.0}, validation={1.0: 95.0, 4.0: 96.0}, n=6))
    assert (
        "T=4 did best on validation examples (96.00 %): 96.25 ± 0.19 % on test (mean ± standard deviation" in sentence
    )
    assert "p = .031, also corrected for the choice among 2 settings)" in sentence
    assert "Luck of the seed does not explain the gain" in sentence
    assert "underpowered" not in sentence
    assert sentence.endswith("test numbers had no part in the choice.")


def test_settings_that_no_table_tells_apart_are_called_level():
    sentence = verdict(swept({1.0: 96.0, 2.0: 95.0, 4.0: 96.001}))
    assert "T=4 did best, level with 1 other to two digits: 96.00 %" in sentence


def test_a_sweep_in_which_nothing_helped_says_so():
    assert "None of them beat the baseline" in verdict(swept({1.0: 93.0, 2.0: 92.0}))


def methods(n: int, count: int = 2) -> Rows:
    found = []
    for method, ahead in (("at", 0.0), ("dkd", 0.3), ("rkd", -0.3))[:count]:
        for seed in range(n):
            rows = three((95.0 + ahead + 0.1 * seed) / 100, 0.94, seed=seed, method=method)
            rows[2]["signature"] += method
            found.append(rows)
    return joined(*found)


def test_methods_are_told_with_how_surely_one_beats_the_next():
    sentence = verdict(methods(6))
    assert "Of 2 settings method=dkd did best: 95.55 ± 0.19 % on test" in sentence
    assert "points above the same network trained on hard labels alone; it has 1.9x fewer" in sentence
    assert "its gain has a corrected p = .031 and it is 0.30 points above the next best method, method=at" in sentence
    assert "Luck of the seed does not explain which method is ahead" in sentence
    assert "better in 6 of 6 seeds, p = .031)" in sentence


def test_many_methods_need_more_seeds():
    sentence = verdict(methods(6, count=3))
    assert (
        "underpowered (n=6: smallest possible p is .094 once corrected for 3 comparisons; 7 seeds would do)" in sentence
    )
    assert "confirm it on fresh seeds with `distill train -m seed=6,7,8,9,10,11`" in sentence


def test_methods_that_are_not_told_apart_stay_open_and_the_command_confirms_both():
    rows = methods(3)
    runs = [
        {"run": row["run"], "overrides": {"T": "4", "method": row["method"], "seed": str(row["seed"])}}
        for row in rows
        if row["role"] == "student"
    ]
    sentence = verdict(rows, runs)
    assert "Which is better stays open" in sentence
    assert "underpowered (n=3: smallest possible p is .25)" in sentence
    assert "`distill train -m T=4 method=dkd,at seed=3,4,5,6,7,8`" in sentence


def test_failed_runs_are_counted_and_a_lone_one_is_told():
    failed = {"role": "student", "status": "failed", "error": "T=-1 is not allowed.", "run": "x"}
    # The reason stands beside it in every format.
    assert verdict([failed]) == "There is no distilled student to compare: the run failed."
    assert "1 of 3 runs did not finish" in verdict([*joined(three(T=1.0), three(T=2.0)), failed])


def test_without_a_baseline_no_claim_is_made():
    rows = [row for row in three() if row["role"] != "baseline"]
    assert "without a baseline" in verdict([{**row, "gain": None} for row in rows], [RUN])


def test_every_verdict_is_one_sentence_or_two():
    for rows in (three(), seeds(1.0), joined(three(T=1.0), three(T=2.0)), methods(1), methods(6), []):
        sentence = verdict(rows, [RUN])
        assert sentence.endswith(".")
        assert sentence.count(". ") <= 1


def test_the_command_to_repeat_a_run_says_where_its_things_are():
    run = {**RUN, "places": ["--config-dir=mine", "output=there"]}
    assert "`distill train --config-dir=mine output=there method=hinton T=4 seeds=6`" in verdict(three(), [run])


def test_two_runs_of_one_method_are_repeated_with_that_method_once():
    runs = [{**RUN, "run": f"run{seed}", "overrides": {"method": "tf_kd", "seed": str(seed)}} for seed in range(2)]
    sentence = verdict(joined(three(seed=0), three(seed=1)), runs)
    assert "repeat with `distill train method=tf_kd seeds=6`" in sentence


def test_settings_on_several_data_sets_are_not_ranked():
    rows = [*three(T=1.0), *({**row, "dataset": "mnist", "run": "other"} for row in three(T=2.0))]
    rows.append({"run": "failed", "role": "student", "status": "failed", "error": "no memory"})  # before it had data
    assert verdict(rows, [RUN]).startswith("These runs learned 2 data sets (digits, mnist)")
