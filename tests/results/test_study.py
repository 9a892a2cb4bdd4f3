import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from distill.results.study import Group, Study, study

from .conftest import Rows, three

SEEDS = range(6)
BASELINE = [94.1, 94.4, 93.9, 94.0, 94.2, 94.6]
# Test and validation accuracies in %, by method, T and seed. On test hinton at T=8 is best, on validation at T=4.
TEST = {
    ("hinton", 1.0): [94.9, 95.0, 94.6, 94.8, 95.3, 95.2],
    ("hinton", 4.0): [95.6, 95.1, 95.4, 95.2, 95.0, 95.7],
    ("hinton", 8.0): [95.7, 95.3, 95.4, 95.5, 95.2, 95.6],
    ("dkd", 1.0): [94.2, 94.1, 94.6, 94.3, 94.0, 94.9],
    ("dkd", 4.0): [95.2, 95.3, 94.8, 94.9, 95.1, 95.5],
}
VALIDATION = {
    ("hinton", 1.0): 94.0,
    ("hinton", 4.0): 96.0,
    ("hinton", 8.0): 95.5,
    ("dkd", 1.0): 93.0,
    ("dkd", 4.0): 95.0,
}


def runs_of(
    seeds: Sequence[int] = SEEDS, *, validation: bool = True, without: Sequence[tuple[str, float, int]] = ()
) -> Rows:
    found = []
    for number, (method, T, seed) in enumerate((m, T, s) for m, T in TEST for s in seeds):
        if (method, T, seed) in without:
            continue
        rows = three(TEST[method, T][seed] / 100, BASELINE[seed] / 100, seed=seed, method=method, T=T)
        if validation:
            rows[2]["val_accuracy"] = (VALIDATION[method, T] + 0.1 * seed) / 100
        found += [{**row, "run": f"sweep/{number}"} for row in rows]
    return found


def setting(found: Study, method: str, T: float) -> Group:
    return next(group for group in found.students if group.keys == {"method": method, "T": T})


def gains(key: tuple[str, float]) -> np.ndarray:
    return np.array(TEST[key]) - np.array(BASELINE)


def p_value(differences: np.ndarray) -> float:
    return float(
        stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=1_000_000).pvalue
    )


def step_down(differences: list[np.ndarray]) -> list[float]:
    """Westfall and Young's step-down procedure, setting by setting and flip by flip."""

    def far(values: np.ndarray) -> float:
        return abs(values.sum()) / np.sqrt((values**2).sum())

    ranked = sorted(range(len(differences)), key=lambda place: -far(differences[place]))
    adjusted, reached = [0.0] * len(differences), 0.0
    for rank, place in enumerate(ranked):
        flips = [np.array(signs) for signs in itertools.product((1, -1), repeat=len(differences[place]))]
        rest = [differences[other] for other in ranked[rank:]]
        as_far = sum(max(far(signs * one) for one in rest) >= far(differences[place]) - 1e-9 for signs in flips)
        reached = max(reached, as_far / len(flips))
        adjusted[place] = reached
    return adjusted


def test_rows_join_by_everything_but_the_seed():
    found = study(runs_of())
    assert found.keys == ["method", "T"]
    assert [(group.role, group.accuracy.n) for group in found.groups] == [
        ("teacher", 6),
        ("baseline", 6),
        *[("student", 6)] * 5,
    ]
    assert [group.label for group in found.groups[:2]] == ["teacher", "baseline"]
    assert setting(found, "hinton", 4.0).label == "method=hinton, T=4"
    for key, accuracies in TEST.items():
        group = setting(found, *key)
        assert group.accuracy.mean == pytest.approx(np.mean(accuracies) / 100)
        assert group.accuracy.std == pytest.approx(np.std(accuracies, ddof=1) / 100)


def test_gains_are_paired_by_seed_and_corrected_for_all_settings():
    found = study(runs_of())
    adjusted = dict(zip(TEST, step_down([gains(key) for key in TEST]), strict=True))
    for key in TEST:
        gain = setting(found, *key).gain
        assert gain is not None
        assert gain.mean == pytest.approx(gains(key).mean())
        assert gain.std == pytest.approx(gains(key).std(ddof=1))
        assert gain.p == pytest.approx(p_value(gains(key)))
        assert gain.adjusted == pytest.approx(adjusted[key])
        assert gain.wins == pytest.approx((gains(key) > 0).mean())


def test_the_winner_is_chosen_on_validation_examples_and_told_on_test():
    found = study(runs_of())
    assert found.winner is setting(found, "hinton", 4.0)
    assert (found.chosen_by, found.tried) == ("val_accuracy", 5)
    assert found.warnings == []


def test_without_validation_examples_test_numbers_choose_and_a_warning_says_so():
    found = study(runs_of(validation=False))
    assert found.winner is setting(found, "hinton", 8.0)
    assert found.chosen_by == "accuracy"
    assert "no validation split" in found.warnings[0]


def test_validation_accuracy_may_stand_in_the_runs_metadata():
    rows = runs_of(validation=False)
    students = [row for row in rows if row["role"] == "student"]
    runs = [{"run": row["run"], "val_accuracy": 0.5 if row["T"] == 1.0 else 0.4} for row in students]
    found = study(rows, runs)
    assert found.chosen_by == "val_accuracy"
    assert found.winner is not None
    assert found.winner.keys["T"] == 1.0


def test_methods_are_compared_by_their_best_settings_paired_by_seed():
    found = study(runs_of())
    (comparison,) = found.comparisons
    assert (comparison.first, comparison.second) == (setting(found, "hinton", 4.0), setting(found, "dkd", 4.0))
    differences = np.array(TEST["hinton", 4.0]) - np.array(TEST["dkd", 4.0])
    assert comparison.difference.mean == pytest.approx(differences.mean())
    assert comparison.difference.p == comparison.difference.adjusted == pytest.approx(p_value(differences))
    assert comparison.difference.wins == pytest.approx((differences > 0).mean())


def test_every_pair_of_methods_is_compared_and_corrected_for():
    rows = []
    for number, (method, seed) in enumerate(itertools.product("abc", SEEDS)):
        accuracy = 0.95 + 0.01 * "abc".index(method) + 0.0001 * seed * number
        rows += [{**row, "run": str(number)} for row in three(accuracy, 0.94, seed=seed, method=method, T=4.0)]
    for row in rows:
        row["signature"] += row["method"]
    found = study(rows)
    named = [(one.first.keys["method"], one.second.keys["method"]) for one in found.comparisons]
    assert named == [("c", "b"), ("c", "a"), ("b", "a")]
    assert [one.difference.adjusted for one in found.comparisons] == [3 / 32] * 3
    assert found.underpowered == (
        "underpowered (n=6: smallest possible p is .094 once corrected for 3 comparisons; 7 seeds would do)"
    )


def test_one_method_is_compared_with_its_baseline():
    rows = [row for row in runs_of() if row["role"] != "student" or row["method"] == "hinton"]
    found = study(rows)
    (comparison,) = found.comparisons
    assert comparison.first is found.winner
    assert comparison.second is next(group for group in found.groups if group.role == "baseline")
    assert found.winner is not None
    assert comparison.difference is found.winner.gain


@pytest.mark.parametrize(("n", "p"), [(1, "1"), (2, ".5"), (3, ".25"), (5, ".062")])
def test_few_seeds_are_called_underpowered(n: int, p: str):
    rows = [{**row, "run": str(seed)} for seed in range(n) for row in three(0.95 + seed / 1000, seed=seed)]
    assert study(rows).underpowered == f"underpowered (n={n}: smallest possible p is {p})"


def test_six_seeds_of_one_setting_are_not_underpowered():
    rows = [{**row, "run": str(seed)} for seed in SEEDS for row in three(0.95 + seed / 1000, seed=seed)]
    assert study(rows).underpowered is None


def test_an_incomplete_grid_pairs_only_what_pairs_and_counts_what_is_there():
    lost = [("hinton", 4.0, 0), ("dkd", 4.0, 1), ("dkd", 4.0, 5), *(("hinton", 8.0, seed) for seed in range(1, 6))]
    found = study(runs_of(without=lost))
    assert [setting(found, *key).accuracy.n for key in TEST] == [6, 5, 1, 6, 4]
    difference = found.comparisons[0].difference
    common = [2, 3, 4]
    expected = np.mean([TEST["hinton", 4.0][seed] - TEST["dkd", 4.0][seed] for seed in common])
    assert (difference.n, difference.mean) == (3, pytest.approx(expected))
    assert any("3 of 4 seeds in common" in warning for warning in found.warnings)
    gain = setting(found, "hinton", 4.0).gain
    assert gain is not None
    assert gain.mean == pytest.approx(gains(("hinton", 4.0))[1:].mean())


def test_a_setting_of_few_seeds_has_no_part_in_the_choice():
    rows = runs_of(validation=False, without=[("hinton", 8.0, seed) for seed in range(1, 6)])
    next(row for row in rows if row["role"] == "student" and row["T"] == 8.0)["accuracy"] = 0.99
    found = study(rows)
    assert found.winner is setting(found, "hinton", 4.0)
    assert found.tried == 5
    assert any("Settings have 1 to 6 seeds; 1 with 3 or fewer had no part" in warning for warning in found.warnings)


def test_a_student_is_paired_with_the_baseline_of_its_own_run():
    rows = []
    for number, (lr, seed) in enumerate(itertools.product(("0.1", "0.2"), range(2))):
        own: Rows = three(0.95, 0.94 if lr == "0.1" else 0.90, seed=seed, T=4.0)
        for row in own[1:]:
            row["signature"] += lr
        rows += [{**row, "run": str(number), "hparams.student.lr": lr} for row in own]
    found = study(rows)
    by_lr = {group.keys["hparams.student.lr"]: group for group in found.students}
    measured = {lr: group.gain.mean if group.gain else None for lr, group in by_lr.items()}
    assert measured == {"0.1": pytest.approx(1.0), "0.2": pytest.approx(5.0)}
    baselines = {group.label: group.accuracy.mean for group in found.groups if group.role == "baseline"}
    assert baselines == {
        "baseline, hparams.student.lr=0.1": pytest.approx(0.94),
        "baseline, hparams.student.lr=0.2": pytest.approx(0.90),
    }


def test_methods_are_compared_for_one_network_only():
    rows = []
    for number, (method, model, seed) in enumerate(itertools.product("ab", ("small", "large"), range(2))):
        accuracy = 0.9 + 0.01 * (method == "b") + 0.05 * (model == "large")
        own: Rows = three(accuracy, 0.85, seed=seed, method=method, T=4.0)
        own[2] |= {"model": model, "signature": f"{number}"}
        rows += [{**row, "run": str(number)} for row in own]
    found = study(rows)
    assert [(one.first.model, one.second.model) for one in found.comparisons] == [("large", "large")]


def test_without_baselines_there_is_no_gain():
    rows: list[dict[str, Any]] = [{**row, "gain": None} for row in three() if row["role"] != "baseline"]
    found = study(rows)
    assert found.students[0].gain is None
    assert found.comparisons == []


def test_settings_on_several_data_sets_have_no_winner():
    found = study([*three(T=1.0), *({**row, "dataset": "mnist", "run": "other"} for row in three(T=2.0))])
    assert found.winner is None
    assert "2 data sets (digits, mnist), whose accuracies do not compare." in found.sentence


def test_each_of_several_data_sets_gets_a_verdict_and_its_own_warnings():
    digits = [{**row, "run": f"d{T}"} for T in (1.0, 2.0) for row in three(0.94 + T / 100, T=T)]
    mnist = [{**row, "run": "m", "dataset": "mnist", "signature": f"m{row['signature']}"} for row in three(0.93)]
    found = study([*digits, *mnist])
    assert "On digits: Of 2 settings T=2 did best: 96.00 % on test" in found.sentence
    assert "On mnist: In this one run (seed 0) the distilled student scored 93.0 %" in found.sentence
    assert [warning.split(":")[0] for warning in found.warnings] == ["On digits"]


def test_settings_with_too_few_seeds_to_be_chosen_are_told_of():
    rows = [{**row, "run": f"1-{s}"} for s in SEEDS for row in three(0.95, T=1.0, seed=s)]
    found = study([*rows, *({**row, "run": "lucky"} for row in three(0.99, T=2.0))])
    assert found.sentence.startswith("Of 2 settings, 1 of them with too few seeds to be chosen, T=1 did best")


def test_networks_that_no_key_tells_apart_are_told_of():
    changed: Rows = [{**row, "run": "again", "signature": row["signature"] + "x"} for row in three(0.90)]
    found = study([*three(), *changed])
    assert [group.accuracy.n for group in found.students] == [1, 1]
    assert any("no key tells" in warning for warning in found.warnings)


def test_a_network_that_several_runs_report_counts_once():
    found = study([*three(), *({**row, "run": "again", "reused": True} for row in three())])
    assert [group.accuracy.n for group in found.groups] == [1, 1, 1]


def test_a_difference_below_the_error_of_the_test_set_is_told():
    rows = [{**row, "run": str(s)} for s in SEEDS for row in three(0.943 + s / 1e4, 0.94 + s / 2e4, seed=s)]
    runs = [{"run": "0", "dataset": {"test": 540}}]
    error = 100 * math.sqrt(0.94325 * (1 - 0.94325) / 540)
    (warning,) = study(rows, runs).warnings
    assert f"less than the sampling error of 540 test examples (± {error:.2f} points)" in warning


def test_nothing_finished_is_a_study_of_nothing():
    found = study([{"role": "student", "status": "failed", "error": "no", "run": "x"}])
    assert (found.groups, found.winner, found.comparisons, found.tried) == ([], None, [], 0)
    assert study([]).groups == []
