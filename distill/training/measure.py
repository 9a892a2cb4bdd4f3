"""What the results table says of a network alone: how good, how large, how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill.data.batches import Batches
from distill.data.targets import Targets
from distill.data.tasks import Tasks, task_accuracies, within_task
from distill.models import count
from distill.training import evaluate
from distill.training.calibration import calibration_error, fit_temperature
from distill.training.class_groups import group_accuracy
from distill.training.class_prior import Unseen, corrected
from distill.training.device import describe
from distill.training.latency import latency
from distill.training.precision import Precision
from distill.training.reached import counted, named
from distill.training.scores import scaled_reliability, score

# Raise it when a measure is added or means something else: stored networks are then measured again.
VERSION = 1
DETAILS = ("class_accuracy", "confusions", "reliability", "task_accuracy")
# What methods find out before a training (`Method.found`), of networks that have it.
FOUND = ("pseudo_labels",)

_LATENCY_BATCH = 64
_SECONDS_ALONE, _SECONDS_BATCH = 1.0, 0.5


@dataclass(frozen=True)
class Measured:
    """What was found out about a network.

    Attributes:
        columns: Of the results table, by name.
        details: What has no place in a table: the `DETAILS` as in `details.json`, and `unseen` as
            `class_prior.corrected` tells it, where there are classes that it never saw.
        predictions: `[examples]` most likely class of each test example, on the CPU; none in a regression.
        logits: `[examples, classes]` its answers to the test examples, fp32.
    """

    columns: dict[str, Any]
    details: dict[str, Any]
    predictions: Tensor
    logits: Tensor


def measure(
    network: nn.Module,
    test: Batches,
    precision: Precision,
    *,
    val: Batches | None = None,
    counts: Sequence[int] | None = None,
    lacks: Unseen | None = None,
    targets: Targets | None = None,
    tasks: Tasks = (),
) -> Measured:
    """Measures a trained network.

    Args:
        network: On the device of `precision`.
        test: The test examples.
        precision: Of the forward pass, for accuracy and latency alike.
        val: Validation examples, by which a temperature for its logits is found; without them there is none.
        counts: Training examples of each class, by which classes are head, mid or tail.
        lacks: Classes that it never saw an example of, if there are any.
        targets: What it answers in a regression, to which all else about classes does not apply.
        tasks: Class numbers of the tasks that the test examples are of; each one's task is then known.
    """
    logits, labels = evaluate.logits(network, test.in_order(), precision)
    if targets is not None:
        columns = _nearness(logits, labels, targets)
        if val is not None:
            found = _nearness(*evaluate.logits(network, val.in_order(), precision), targets)
            columns |= {f"val_{name}": value for name, value in found.items()}
        nothing = torch.zeros(0, dtype=torch.int64)
        return Measured({**columns, **_costs(network, test, precision)}, {}, nothing, logits)
    told: dict[str, Any] = {}
    if tasks:
        told["task_accuracy"] = task_accuracies(logits, labels, tasks)
        logits = within_task(logits, labels, tasks)
    columns, details, predictions = _quality(logits, labels, counts)
    details |= told
    columns |= {"val_accuracy": None, "temperature": None, "ece_scaled": None}
    if val is not None:
        held_out, truth = evaluate.logits(network, val.in_order(), precision)
        if tasks:
            held_out = within_task(held_out, truth, tasks)
        columns["val_accuracy"] = int((held_out.argmax(dim=1) == truth).sum()) / len(truth)
        temperature = fit_temperature(held_out.cpu(), truth.cpu())
        if temperature is not None:
            scaled = scaled_reliability(logits, labels, temperature)
            details["reliability"]["scaled"] = scaled
            columns |= {"temperature": temperature, "ece_scaled": calibration_error(scaled)}
    if lacks is not None:
        details["unseen"] = found = corrected(logits, labels, lacks)
        for kind in ("prior", "oracle"):
            columns |= {f"accuracy_{kind}": found[kind]["accuracy"], f"shift_{kind}": found[kind]["shift"]}
    return Measured({**columns, **_costs(network, test, precision)}, details, predictions, logits)


def _quality(
    logits: Tensor, labels: Tensor, counts: Sequence[int] | None
) -> tuple[dict[str, Any], dict[str, Any], Tensor]:
    scores = score(logits, labels)
    columns: dict[str, Any] = {
        name: getattr(scores, name) for name in ("accuracy", "top5", "errors", "nll", "brier", "ece")
    }
    if counts is not None:
        groups = group_accuracy(counts, scores.class_accuracy)
        columns |= {f"accuracy_{group}": share for group, share in groups.items()}
    details = {
        "class_accuracy": scores.class_accuracy,
        "confusions": scores.confusions,
        "reliability": {"raw": scores.reliability, "scaled": None},
    }
    return columns, details, scores.predictions


def _nearness(answers: Tensor, labels: Tensor, targets: Targets) -> dict[str, float]:
    return named(counted(answers.cpu(), labels.cpu()), labels, targets)


def _costs(network: nn.Module, test: Batches, precision: Precision) -> dict[str, Any]:
    inputs = next(test.in_order(_LATENCY_BATCH)).inputs
    alone = latency(network, inputs[:1], precision, _SECONDS_ALONE)
    many = latency(network, inputs, precision, _SECONDS_BATCH)
    return {
        "params": count.parameters(network),
        "size_mb": count.size_bytes(network) / 1e6,
        "flops": count.flops(network, tuple(inputs.shape[1:]), precision.device),
        "latency_ms": alone.median,
        "latency_p99_ms": alone.p99,
        "throughput": alone.throughput,
        "latency_batch_ms": many.median,
        "latency_batch_p99_ms": many.p99,
        "throughput_batch": many.throughput,
        "batch": len(inputs),
        "precision": precision.name,
        "device": describe(precision.device),
    }
