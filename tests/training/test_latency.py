"""Times of forward passes, told of times that are known."""

import pytest
import torch
from torch import nn

from distill.training.latency import latency, summary
from distill.training.precision import Precision

pytestmark = pytest.mark.usefixtures("unhurried")

FP32 = Precision("fp32", torch.device("cpu"))


def test_median_p99_and_throughput_of_a_hundred_passes():
    found = summary([number / 1000 for number in range(100, 0, -1)], examples=4)
    assert found.median == pytest.approx(51)
    assert found.p99 == pytest.approx(99)
    assert found.throughput == pytest.approx(4 / 0.051)


def test_too_few_passes_tell_no_99th_percentile():
    assert summary([0.002] * 99, 1).p99 is None


class Counting(nn.Linear):
    passes = 0

    def forward(self, input):
        self.passes += 1
        return super().forward(input)


def test_a_slow_network_is_passed_five_times_after_the_warm_up():
    network = Counting(4, 3).train()
    found = latency(network, torch.zeros(2, 4), FP32, seconds=0.0)
    assert network.passes == 3 + 5
    assert found.median > 0
    assert network.training


def test_no_network_is_passed_more_than_a_hundred_times():
    network = Counting(4, 3)
    assert latency(network, torch.zeros(2, 4), FP32, seconds=60.0).p99 is not None
    assert network.passes == 3 + 100
