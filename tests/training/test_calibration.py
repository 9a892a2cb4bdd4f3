"""Reliability by bins, and fitted temperatures against closed forms and scipy's minimiser."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from distill.training import in_parts
from distill.training.calibration import calibration_error, fit_temperature, reliability


def error(confidence: list[float], right: list[bool]) -> float:
    return calibration_error(reliability(torch.tensor(confidence), torch.tensor(right)))


def test_calibration_error_weighs_the_gap_of_each_bin():
    # Bin (14/15, 1]: accuracy .75 at .95; bin (9/15, 10/15]: .5 at .65.
    found = error([0.95, 0.95, 0.95, 0.95, 0.65, 0.65], [True, True, True, False, True, False])
    assert found == pytest.approx(0.2 * 4 / 6 + 0.15 * 2 / 6)


def test_bins_hold_counts_mean_confidence_and_accuracy():
    bins = reliability(torch.tensor([0.94, 0.96, 0.65]), torch.tensor([True, False, True]))
    assert len(bins) == 15
    assert bins[14] == (2, pytest.approx(0.95), 0.5)
    assert bins[9] == (1, pytest.approx(0.65), 1.0)
    assert bins[0] == (0, 0.0, 0.0)
    assert sum(count for count, _, _ in bins) == 3


def test_opposite_gaps_cancel_within_a_bin_and_not_across():
    assert error([0.5, 0.5], [True, False]) == pytest.approx(0)
    assert error([0.4, 0.6], [True, False]) == pytest.approx(0.6)


@pytest.mark.parametrize(("confidence", "right", "gap"), [(1.0, True, 0.0), (1.0, False, 1.0), (0.0, False, 0.0)])
def test_the_ends_of_confidence_belong_to_the_outer_bins(confidence, right, gap):
    assert error([confidence], [right]) == gap


@pytest.mark.parametrize(("margin", "share"), [(3.0, 0.75), (0.2, 0.9), (40.0, 0.6)])
def test_of_two_classes_the_temperature_makes_confidence_what_accuracy_is(margin, share):
    # sigmoid(margin / T) = share.
    logits = torch.tensor([[margin, 0.0]]).repeat(20, 1)
    labels = (torch.arange(20) >= 20 * share).long()
    assert fit_temperature(logits, labels) == pytest.approx(margin / math.log(share / (1 - share)), rel=1e-6)


@pytest.mark.parametrize("scale", [0.05, 1.0, 12.0])
def test_scaled_logits_are_scaled_back(scale, monkeypatch):
    monkeypatch.setattr(in_parts, "_NUMBERS_AT_ONCE", 1000)
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (400, 6))
    labels = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from their softmax

    def nll(temperature: float) -> float:
        scaled = scale * logits / temperature
        return (logsumexp(scaled, axis=1) - scaled[np.arange(400), labels]).mean()

    best: Any = minimize_scalar(nll, bounds=(0.01, 50), method="bounded", options={"xatol": 1e-10})
    found = fit_temperature(torch.tensor(scale * logits), torch.tensor(labels))
    assert found == pytest.approx(best.x, rel=1e-5)
    assert found == pytest.approx(scale, rel=0.25)


@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 2, 0]], ids=["always right", "worse than chance"])
def test_where_no_temperature_is_best_there_is_none(labels):
    assert fit_temperature(5 * torch.eye(3), torch.tensor(labels)) is None


def test_huge_logits_have_a_temperature_too():
    logits = torch.tensor([[1e4, 0.0], [1e4, 0.0], [1e4, 0.0], [1e3, 0.0]])
    assert fit_temperature(logits, torch.tensor([0, 0, 0, 0])) is None
    assert fit_temperature(logits / 1e4, torch.tensor([0, 0, 1, 0])) is not None
