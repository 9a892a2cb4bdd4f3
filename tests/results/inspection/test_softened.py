"""Softened distributions against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax

from distill.results.inspection.softened import divergence, log_softened, soften


def test_probabilities_of_two_classes_follow_the_logistic_function_of_their_difference_over_T():
    one = soften(np.array([3.0, 1.0]), 4.0)
    assert one.probabilities[0] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert one.off_top == pytest.approx(1 / (1 + np.exp(0.5)))


def test_entropy_is_that_of_scipy_and_falls_between_zero_and_ln_K():
    logits = np.random.default_rng(0).normal(0, 3, (50, 7))
    for T in (0.3, 1.0, 8.0):
        one = soften(logits, T)
        probabilities = np.exp(log_softmax(logits / T, axis=1))
        np.testing.assert_allclose(one.probabilities, probabilities, rtol=1e-12)
        np.testing.assert_allclose(one.entropy, stats.entropy(probabilities, axis=1), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(one.share_of_maximum, stats.entropy(probabilities, axis=1) / np.log(7), atol=1e-15)


def test_equal_logits_are_as_many_effective_classes_as_there_are_at_any_temperature():
    for T in (1e-300, 1.0, 1e300):
        one = soften(np.full(5, -1e308), T)
        assert one.effective_classes == pytest.approx(5)
        assert one.share_of_maximum == pytest.approx(1)


@pytest.mark.parametrize(("logits", "T"), [([1e308, -1e308, 0.0], 1.0), ([2.0, 1.0, 0.0], 1e-300)])
def test_huge_logits_and_tiny_temperatures_end_in_one_class_without_a_warning(logits, T):
    one = soften(np.array(logits), T)
    assert one.probabilities.tolist() == [1, 0, 0]
    assert (one.entropy, one.effective_classes, one.off_top) == (0, 1, 0)


def test_two_largest_logits_share_what_a_tiny_temperature_leaves():
    assert soften(np.array([5.0, 5.0, 4.0]), 1e-9).probabilities.tolist() == [0.5, 0.5, 0]


def test_divergence_is_the_mean_over_examples_of_scipys_relative_entropy():
    random = np.random.default_rng(1)
    teacher, student = random.normal(0, 2, (2, 9001, 3)).astype(np.float32)  # more than are worked on at once
    for T in (1.0, 4.0):
        expected = stats.entropy(np.exp(log_softened(teacher, T)), np.exp(log_softened(student, T)), axis=1).mean()
        assert divergence(teacher, student, T) == pytest.approx(expected, rel=1e-9)
    assert divergence(teacher, teacher, 1.0) == 0


def test_divergence_counts_nothing_for_a_class_that_the_first_gives_no_probability():
    sure, other = np.array([[1e4, 0.0]]), np.array([[0.0, 0.0]])
    assert divergence(sure, other, 1.0) == pytest.approx(np.log(2))
