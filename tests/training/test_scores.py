"""Measures of quality on examples that can be counted by hand."""

import math

import numpy as np
import pytest
import torch

from distill.training import in_parts
from distill.training.scores import scaled_reliability, score

# Probabilities: 3/4 1/4, 1/2 1/2 (the first counts), 1/5 4/5.
THREE = torch.tensor([[math.log(3), 0.0], [0.0, 0.0], [0.0, math.log(4)]])
LABELS = torch.tensor([0, 1, 1])


def test_accuracy_likelihood_and_predictions():
    scores = score(THREE, LABELS)
    assert scores.predictions.tolist() == [0, 0, 1]
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.nll == pytest.approx(-(math.log(3 / 4) + math.log(1 / 2) + math.log(4 / 5)) / 3)
    # Each example is alone in its bin: 1/4 below, 1/2 above, 1/5 below.
    assert scores.ece == pytest.approx((1 / 4 + 1 / 2 + 1 / 5) / 3)
    assert scores.top5 is None
    assert scores.errors == 1
    assert scores.class_accuracy == [1, pytest.approx(1 / 2)]


def test_the_brier_score_is_the_squared_distance_over_all_classes():
    assert score(THREE, LABELS).brier == pytest.approx(2 * (1 / 16 + 1 / 4 + 1 / 25) / 3)
    sure = torch.tensor([[100.0, 0.0, 0.0]]).repeat(2, 1)
    assert score(sure, torch.tensor([0, 0])).brier == pytest.approx(0)
    assert score(sure, torch.tensor([1, 2])).brier == pytest.approx(2)


def test_brier_and_likelihood_are_those_of_numpy_whatever_fits_at_once(monkeypatch):
    monkeypatch.setattr(in_parts, "_NUMBERS_AT_ONCE", 30)
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (50, 7)), random.integers(0, 7, 50)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = score(torch.tensor(logits), torch.tensor(labels))
    assert scores.brier == pytest.approx(((shares - np.eye(7)[labels]) ** 2).sum(axis=1).mean())
    assert scores.nll == pytest.approx(-np.log(shares[np.arange(50), labels]).mean())
    assert scores.predictions.tolist() == shares.argmax(axis=1).tolist()
    colder = scaled_reliability(torch.tensor(logits), torch.tensor(labels), 1.0)
    assert colder == [pytest.approx(one) for one in scores.reliability]


def test_a_class_without_examples_has_no_accuracy():
    assert score(torch.eye(3), torch.tensor([0, 0, 0])).class_accuracy == [pytest.approx(1 / 3), None, None]


def test_top5_counts_labels_among_the_five_most_likely():
    scores = score(torch.tensor([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]).repeat(3, 1), torch.tensor([0, 4, 5]))
    assert (scores.accuracy, scores.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_top5_says_nothing_with_five_classes():
    assert score(torch.eye(5), torch.arange(5)).top5 is None


def test_confusions_are_counted_by_pair_without_what_is_right_the_most_frequent_first():
    predicted, labels = torch.tensor([1, 1, 2, 0, 2, 2, 1]), torch.tensor([0, 0, 2, 1, 1, 1, 2])
    scores = score(torch.eye(3)[predicted], labels)
    assert [list(one) for one in scores.confusions] == [[0, 1, 2], [1, 2, 2], [1, 0, 1], [2, 1, 1]]
    assert sum(count for _, _, count in scores.confusions) == scores.errors == 6


def test_dividing_logits_moves_confidence_and_no_prediction():
    # exp(2 / 2) : 1 is a confidence of e / (e + 1), .731, in bin (10/15, 11/15].
    bins = scaled_reliability(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0]), 2.0)
    assert [number for number, (count, _, _) in enumerate(bins) if count] == [10]
    assert bins[10] == (2, pytest.approx(math.e / (math.e + 1)), 0.5)
