"""What the results table says of a network alone: how good, how large, how fast."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from distill.data.batches import Batches
from distill.models import count
from distill.training import evaluate
from distill.training.device import describe
from distill.training.precision import Precision

_LATENCY_BATCH = 64


def measure(network: nn.Module, test: Batches, precision: Precision) -> tuple[dict[str, Any], Tensor]:
    """Measures a trained network.

    Args:
        network: On the device of `precision`.
        test: The test examples.
        precision: Of the forward pass, for accuracy and latency alike.

    Returns:
        Columns of the results table by name, and the most likely class of each test example, `[examples]`.
    """
    scores = evaluate.score(*evaluate.logits(network, test.in_order(), precision))
    inputs = next(test.in_order(_LATENCY_BATCH)).inputs
    measures = {
        "params": count.parameters(network),
        "size_mb": count.size_bytes(network) / 1e6,
        "flops": count.flops(network, tuple(inputs.shape[1:]), precision.device),
        "latency_ms": evaluate.latency(network, inputs[:1], precision),
        "latency_batch_ms": evaluate.latency(network, inputs, precision),
        "batch": len(inputs),
        "accuracy": scores.accuracy,
        "top5": scores.top5,
        "nll": scores.nll,
        "ece": scores.ece,
        "precision": precision.name,
        "device": describe(precision.device),
    }
    return measures, scores.predictions
