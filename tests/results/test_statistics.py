import itertools
import math
import statistics
from typing import Any

import numpy as np
import pytest
from scipy import stats

from distill.results.statistics import Summary, compare, holm, joint, p_shown, sign_flip, smallest_p, summarise

# Whole numbers, whose sums are exact: a resample with the mean of the sample is then one to scipy, too.
SIX = [112.0, 61.0, 204.0, 88.0, 97.0, 131.0]
TWELVE = [3.0, 14.0, 15.0, 92.0, 65.0, 35.0, 89.0, 79.0, 32.0, 38.0, 46.0, 26.0]


def test_mean_and_deviation_are_those_of_the_standard_library():
    summary = summarise([SIX])[0]
    assert summary.n == 6
    assert summary.mean == pytest.approx(statistics.mean(SIX))
    assert summary.std == pytest.approx(statistics.stdev(SIX))
    assert summary.error == pytest.approx(statistics.stdev(SIX) / math.sqrt(6))


@pytest.mark.parametrize("sample", [SIX, TWELVE])
def test_the_interval_is_scipys_bca_bootstrap(sample: list[float]):
    theirs = stats.bootstrap((sample,), np.mean, method="BCa", n_resamples=99_999, batch=9_999).confidence_interval
    ours = summarise([sample])[0]
    # Theirs and, beyond eight values, ours are drawn at random.
    close = 0.06 * statistics.stdev(sample)
    assert ours.low == pytest.approx(theirs.low, abs=close)
    assert ours.high == pytest.approx(theirs.high, abs=close)


def test_the_interval_of_two_values_is_from_one_to_the_other():
    # Of the four resamples a quarter has mean 1, a half has 2, a quarter has 3.
    assert summarise([[3.0, 1.0]])[0] == Summary(2.0, math.sqrt(2), 2, 1.0, 3.0)


def test_samples_do_not_change_one_another():
    together = summarise([SIX, TWELVE, [1.0], SIX[::-1]])
    assert together[:2] == [summarise([SIX])[0], summarise([TWELVE])[0]]
    assert together[3].low == pytest.approx(together[0].low)


def test_degenerate_samples_have_degenerate_summaries():
    equal, one, none, gaps = summarise([[0.94] * 6, [0.25], [], [1.0, math.nan, 3.0]])
    assert equal.std == 0.0
    assert equal.low == equal.high == equal.mean == pytest.approx(0.94)
    assert (one.mean, one.n) == (0.25, 1)
    assert math.isnan(one.std)
    assert math.isnan(one.low)
    assert none.n == 0
    assert math.isnan(none.mean)
    assert (gaps.mean, gaps.n) == (2.0, 2)


def test_thousands_of_values_have_the_interval_of_the_normal_distribution():
    values = np.random.default_rng(5).normal(size=5_000)
    summary = summarise([values])[0]
    half = 1.96 * values.std(ddof=1) / math.sqrt(5_000)
    assert summary.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert summary.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def wilcoxon(ranks: list[float]) -> float:
    """The exact p-value of the signed-rank test, which is the sign-flip test where differences are their own ranks."""
    found: Any = stats.wilcoxon(ranks, method="exact")
    return float(found.pvalue)


DIFFERENCES = [0.4, -0.1, 0.3, 0.2, 0.0, 0.7, -0.3]


def test_the_sign_flip_test_is_an_enumeration():
    observed = abs(sum(DIFFERENCES))
    flipped = [
        abs(sum(sign * d for sign, d in zip(signs, DIFFERENCES, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(DIFFERENCES))
    ]
    as_far = sum(value >= observed - 1e-9 for value in flipped)
    assert sign_flip(DIFFERENCES) == pytest.approx(as_far / 128)


def test_the_sign_flip_test_is_scipys():
    values = np.array([0.41, -0.13, 0.32, 0.25, 0.09, 0.77, -0.38, 0.51])
    theirs = stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=1_000_000)
    assert sign_flip(values) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("signs", [[1] * 6, [1, -1, 1, 1, -1, 1], [-1, -1, 1, -1, -1, -1, -1, 1]])
def test_the_sign_flip_test_of_ranks_is_wilcoxons(signs: list[int]):
    ranks = [float(sign * rank) for rank, sign in enumerate(signs, start=1)]
    assert sign_flip(ranks) == pytest.approx(wilcoxon(ranks))


def test_many_pairs_are_flipped_at_random():
    ranks = [float(rank * (-1 if rank % 3 == 0 else 1)) for rank in range(1, 25)]
    exact = wilcoxon(ranks)
    assert sign_flip(ranks) == pytest.approx(exact, abs=0.005)
    assert sign_flip([1.0] * 40) == pytest.approx(1e-5, rel=0.01)


def test_no_pairs_have_no_p_and_equal_ones_have_one():
    assert math.isnan(sign_flip([]))
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([0.3]) == 1.0


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_no_sample_has_a_smaller_p_than_the_smallest(n: int, p: float):
    assert smallest_p(n) == p
    assert sign_flip([0.1 * rank for rank in range(1, n + 1)]) == p


def test_holms_correction_by_hand():
    # Sorted .01, .02, .03, .5 times 4, 3, 2, 1, none below the one before: .04, .06, .06, .5.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    missing = holm([0.02, math.nan, 0.04])
    assert math.isnan(missing[1])
    assert [missing[0], missing[2]] == pytest.approx([0.04, 0.04])


def test_settings_that_share_their_seeds_are_flipped_together():
    # By hand, flips of three seeds up to the sign of all: +++, -++, +-+, ++-. With d / sqrt(sum of squares) the sums
    # are (3, 1, 1, 1) / sqrt(3) of the first setting and (2, 0, 2, 0) / sqrt(2) of the second, which lacks a seed.
    adjusted = joint(np.array([[1.0, 1, 1], [1, math.nan, 1], [math.nan, math.nan, math.nan]]))
    assert adjusted[:2] == [0.25, 0.5]
    assert math.isnan(adjusted[2])


def test_equal_settings_are_one_comparison():
    row = [0.3, 0.5, -0.1, 0.4, 0.2, 0.6]
    assert joint(np.array([row] * 50)) == pytest.approx([sign_flip(row)] * 50)


def test_unrelated_settings_are_corrected_about_as_much_as_by_bonferroni():
    random = np.random.default_rng(1)
    differences = random.normal(size=(20, 40))
    differences[0] += 1
    adjusted = joint(differences)
    assert adjusted[0] < 0.01
    others = [(sign_flip(row), p) for row, p in zip(differences[1:], adjusted[1:], strict=True)]
    assert all(single <= p + 0.02 for single, p in others)
    single, corrected = min(others)
    assert min(1, 10 * single) < corrected <= min(1, 30 * single + 0.05)


def test_comparisons_are_corrected_together_and_ties_are_half_wins():
    first, second, empty = compare([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, -1.0, 0.0], []])
    assert (first.p, first.adjusted, first.wins, first.won) == (0.03125, 0.0625, 1.0, "6/6")
    assert (second.p, second.wins, second.won) == (1.0, 0.5, "2/4")
    assert empty.n == 0
    assert empty.won == ""


def test_numbers_as_people_read_them():
    summary = Summary(0.95564, 0.00204, 6, 0.954, 0.957)
    assert summary.shown(100.0) == "95.56 ± 0.20"
    assert summary.interval(100.0) == "95.40 to 95.70"
    assert Summary(1.5, math.nan, 1, math.nan, math.nan).shown(sign=True) == "+1.50"
    assert Summary(math.nan, math.nan, 0, math.nan, math.nan).shown() == ""
    assert [p_shown(p) for p in (0.25, 0.03125, 0.0078125, 1.0, 0.00002, 0.125, math.nan)] == [
        ".25",
        ".031",
        ".008",
        "1",
        "<.001",
        ".125",
        "",
    ]
