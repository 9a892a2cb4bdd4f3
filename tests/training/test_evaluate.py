"""Measures of quality on examples that can be counted by hand."""

import math

import pytest
import torch
from torch import nn

from distill.training import evaluate
from distill.training.precision import Precision

FP32 = Precision("fp32", torch.device("cpu"))


def test_accuracy_likelihood_and_predictions():
    # Probabilities: 3/4 1/4, 1/2 1/2 (the first counts), 1/5 4/5.
    answers = torch.tensor([[math.log(3), 0.0], [0.0, 0.0], [0.0, math.log(4)]])
    scores = evaluate.score(answers, torch.tensor([0, 1, 1]))
    assert scores.predictions.tolist() == [0, 0, 1]
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.nll == pytest.approx(-(math.log(3 / 4) + math.log(1 / 2) + math.log(4 / 5)) / 3)
    # Each example is alone in its bin: 1/4 below, 1/2 above, 1/5 below.
    assert scores.ece == pytest.approx((1 / 4 + 1 / 2 + 1 / 5) / 3)
    assert scores.top5 is None
    assert scores.errors == 1
    assert scores.class_accuracy == [1, pytest.approx(1 / 2)]


def test_a_class_without_examples_has_no_accuracy():
    assert evaluate.score(torch.eye(3), torch.tensor([0, 0, 0])).class_accuracy == [pytest.approx(1 / 3), None, None]


def test_top5_counts_labels_among_the_five_most_likely():
    answers = torch.tensor([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]).repeat(3, 1)
    scores = evaluate.score(answers, torch.tensor([0, 4, 5]))
    assert (scores.accuracy, scores.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_top5_says_nothing_with_five_classes():
    assert evaluate.score(torch.eye(5), torch.arange(5)).top5 is None


def test_calibration_error_weighs_the_gap_of_each_bin():
    confidence = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.65, 0.65])
    right = torch.tensor([True, True, True, False, True, False])
    # Bin (14/15, 1]: accuracy .75 at .95; bin (9/15, 10/15]: .5 at .65.
    assert evaluate.calibration_error(confidence, right) == pytest.approx(0.2 * 4 / 6 + 0.15 * 2 / 6)


def test_opposite_gaps_cancel_within_a_bin_and_not_across():
    confidence = torch.tensor([0.5, 0.5])
    assert evaluate.calibration_error(confidence, torch.tensor([True, False])) == pytest.approx(0)
    apart = torch.tensor([0.4, 0.6])
    assert evaluate.calibration_error(apart, torch.tensor([True, False])) == pytest.approx(0.6)


@pytest.mark.parametrize(("confidence", "right", "error"), [(1.0, True, 0.0), (1.0, False, 1.0), (0.0, False, 0.0)])
def test_the_ends_of_confidence_belong_to_the_outer_bins(confidence, right, error):
    assert evaluate.calibration_error(torch.tensor([confidence]), torch.tensor([right])) == error


def test_measuring_runs_in_evaluation_mode_and_leaves_the_mode_alone(batches):
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    split = batches(count=12)
    answers, labels = evaluate.logits(network, split.in_order(5), FP32)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    whole, _ = evaluate.logits(network, split.in_order(12), FP32)
    torch.testing.assert_close(answers, whole)
    assert torch.equal(labels, split.split.labels)
    assert not answers.requires_grad


def test_answers_are_fp32_in_every_precision(batches):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    bf16 = Precision("bf16", torch.device("cpu"))
    answers, _ = evaluate.logits(network, batches(count=12).in_order(), bf16)
    exact, _ = evaluate.logits(network, batches(count=12).in_order(), FP32)
    assert answers.dtype == torch.float32
    assert not torch.equal(answers, exact)
    torch.testing.assert_close(answers, exact, rtol=0.05, atol=0.05)


def test_latency_is_that_of_a_forward_pass():
    network = nn.Linear(4, 3).train()
    assert evaluate.latency(network, torch.zeros(2, 4), FP32) > 0
    assert network.training
