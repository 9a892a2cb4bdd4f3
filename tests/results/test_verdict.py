from typing import Any

import pytest

from distill.results.verdict import verdict

from .conftest import Rows, three

RUN: dict[str, Any] = {"run": "run", "dataset": {"test": 540}, "overrides": {"method": "hinton", "T": "4"}}


def joined(*runs: Rows) -> Rows:
    return [{**row, "run": f"run{i}"} for i, rows in enumerate(runs) for row in rows]


def test_one_seed_is_told_with_its_gain_its_share_and_how_to_repeat_it():
    sentence = verdict(three(student=0.955, baseline=0.94, teacher=0.98), [RUN])
    assert "In this one run (seed 0)" in sentence
    assert "95.5 %, 1.5 points above" in sentence
    assert "38 % of the way to the teacher" in sentence
    assert "1.9x fewer parameters" in sentence
    assert "`distill train -m method=hinton T=4 seed=0,1,2,3,4,5`" in sentence


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


def test_several_seeds_give_mean_error_and_interval():
    # Gains 1, 2, 3: mean 2, standard error 1/sqrt(3), t(2) = 4.303: 2 ± 2.48.
    rows = joined(*(three(0.94 + 0.01 * (i + 1), 0.94, seed=i) for i in range(3)))
    sentence = verdict(rows, [RUN])
    assert "Over 3 seeds" in sentence
    assert "2.00 ± 0.58 points above" in sentence
    assert "-0.48 to +4.48 points, includes zero" in sentence


@pytest.mark.parametrize(("sign", "said"), [(1, "lies above zero"), (-1, "did harm here")])
def test_a_clear_difference_over_seeds_is_called_clear(sign: int, said: str):
    rows = joined(*(three(0.94 + sign * (0.02 + 0.001 * i), 0.94, seed=i) for i in range(4)))
    assert said in verdict(rows)


def test_the_best_of_a_sweep_is_named_and_warned_about():
    rows = joined(*(three(0.95 + 0.01 * (T == 4), T=T) for T in (1.0, 2.0, 4.0, 8.0)))
    runs = [{"run": f"run{i}", "overrides": {"T": T}} for i, T in enumerate("1248")]
    sentence = verdict(rows, runs)
    assert "Of 4 settings T=4 did best: 96.00 %, 2.00 points above" in sentence
    assert "best of 4 was picked on test numbers" in sentence
    assert "`distill train -m T=4 seed=1,2,3,4,5,6`" in sentence


def test_validation_examples_choose_the_best_where_there_are_some():
    rows = joined(*(three(0.95 + 0.01 * (T == 4), T=T) for T in (1.0, 2.0, 4.0)))
    runs = [
        {"run": f"run{i}", "overrides": {"T": T}, "val_accuracy": 0.9 + 0.01 * (T == "2")} for i, T in enumerate("124")
    ]
    sentence = verdict(rows, runs)
    assert "Of 3 settings T=2 did best on validation examples (91.00 %): 95.00 % on test, 1.00 points above" in sentence
    assert "test numbers had no part in the choice" in sentence
    assert "flatters" not in sentence
    assert "flatters" in verdict(rows, [*runs[:2], {**runs[2], "val_accuracy": None}])


def test_the_largest_gain_is_not_called_best_where_another_network_scored_higher():
    rows = joined(three(0.80, 0.75, model="small"), three(0.95, 0.94, model="large"))
    assert "gained most: 80.00 %, 5.00 points above" in verdict(rows)


def test_a_sweep_in_which_nothing_helped_says_so():
    rows = joined(*(three(0.93 - 0.01 * T, 0.94, T=T) for T in (1.0, 2.0)))
    assert "none of them beat the baseline" in verdict(rows)


def test_failed_runs_are_counted_and_a_lone_one_is_told():
    failed = {"role": "student", "status": "failed", "error": "T=-1 is not allowed.", "run": "x"}
    assert "(T=-1 is not allowed), so there is nothing to compare." in verdict([failed])
    assert "1 of 3 runs did not finish" in verdict([*joined(three(T=1.0), three(T=2.0)), failed])


def test_without_a_baseline_no_claim_is_made():
    rows = [row for row in three() if row["role"] != "baseline"]
    assert "without a baseline" in verdict([{**row, "gain": None} for row in rows], [RUN])


def test_every_verdict_is_one_sentence():
    for rows in (three(), joined(three(seed=0), three(seed=1)), joined(three(T=1.0), three(T=2.0)), []):
        sentence = verdict(rows, [RUN])
        assert sentence.endswith(".")
        assert ". " not in sentence


def test_the_command_to_repeat_a_run_says_where_its_things_are():
    run = {**RUN, "places": ["--config-dir=mine", "output=there"]}
    assert "`distill train -m --config-dir=mine output=there method=hinton T=4 seed=0,1,2,3,4,5`" in verdict(
        three(), [run]
    )


def test_settings_on_several_data_sets_are_not_ranked():
    rows = [*three(T=1.0), *({**row, "dataset": "mnist", "run": "other"} for row in three(T=2.0))]
    assert verdict(rows, [RUN]).startswith("These runs learned 2 data sets (digits, mnist)")
