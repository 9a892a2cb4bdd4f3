"""What a network answers, in evaluation mode, whatever the precision."""

import torch
from torch import nn

from distill.training import evaluate
from distill.training.precision import Precision

FP32 = Precision("fp32", torch.device("cpu"))


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
