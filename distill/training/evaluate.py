"""What a network answers to the examples of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from distill.training.precision import Precision
from distill.types import Batch


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient; the mode that was set before comes back."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def logits(network: nn.Module, batches: Iterable[Batch], precision: Precision) -> tuple[Tensor, Tensor]:
    """The network's answers in evaluation mode.

    Returns:
        Logits `[examples, classes]` in fp32 and labels `[examples]`, on the network's device.
    """
    answers, labels = [], []
    with evaluating(network):
        for batch in batches:
            with precision.autocast():
                answers.append(network(batch.inputs).float())
            labels.append(batch.labels)
    return torch.cat(answers), torch.cat(labels)


def right(network: nn.Module, batches: Iterable[Batch], precision: Precision) -> Tensor:
    """The number of examples whose most likely class is the label, an int64 scalar on the network's device."""
    total = torch.zeros((), dtype=torch.int64, device=precision.device)
    with evaluating(network):
        for batch in batches:
            with precision.autocast():
                answers = network(batch.inputs)
            total += (answers.argmax(dim=1) == batch.labels).sum()
    return total
