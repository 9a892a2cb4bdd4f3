"""What the results table says of a network alone: how good, how large, how fast."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from distill.data.batches import Batches
from distill.models import count
from distill.training import evaluate
from distill.training.class_prior import Unseen, corrected
from distill.training.device import describe
from distill.training.precision import Precision

_LATENCY_BATCH = 64


def measure(
    network: nn.Module, test: Batches, precision: Precision, lacks: Unseen | None = None
) -> tuple[dict[str, Any], Tensor]:
    """Measures a trained network.

    Args:
        network: On the device of `precision`.
        test: The test examples.
        precision: Of the forward pass, for accuracy and latency alike.
        lacks: Classes that it never saw an example of, if there are any.

    Returns:
        Columns of the results table by name, with `class_accuracy` and, as `class_prior.corrected` tells it, `unseen`
        beside them; and the most likely class of each test example, `[examples]`.
    """
    answers, labels = evaluate.logits(network, test.in_order(), precision)
    scores = evaluate.score(answers, labels)
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
        "errors": scores.errors,
        "class_accuracy": scores.class_accuracy,
        "precision": precision.name,
        "device": describe(precision.device),
    }
    if lacks is not None:
        found = corrected(answers, labels, lacks)
        measures["unseen"] = found
        for kind in ("prior", "oracle"):
            measures |= {f"accuracy_{kind}": found[kind]["accuracy"], f"shift_{kind}": found[kind]["shift"]}
    return measures, scores.predictions
