"""What a network answers to the examples of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from distill.data.tasks import Tasks, within_task
from distill.training.precision import Precision
from distill.training.reached import counted
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
        Logits `[examples, classes]` in fp32 and labels `[examples]`, on the network's device; in a regression both
        `[examples, targets]`.
    """
    answers, labels = [], []
    with evaluating(network):
        for batch in batches:
            with precision.autocast():
                answers.append(network(batch.inputs).float())
            labels.append(batch.labels)
    return torch.cat(answers), torch.cat(labels)


def total(
    network: nn.Module, batches: Iterable[Batch], precision: Precision, outputs: int, tasks: Tasks = ()
) -> Tensor:
    """What adds up over the examples, as `reached.counted` has it, on the network's device.

    Args:
        network: Asked in evaluation mode.
        batches: Of the examples, maybe none.
        precision: Of the forward pass.
        outputs: How many real-valued targets there are; 0 for classes.
        tasks: Class numbers of the tasks that the examples are of; each one's task is then known.
    """
    kind = torch.float32 if outputs else torch.int64
    found = torch.zeros(max(1, outputs), dtype=kind, device=precision.device)
    with evaluating(network):
        for batch in batches:
            with precision.autocast():
                answers = network(batch.inputs)
            if tasks:
                answers = within_task(answers, batch.labels, tasks)
            found += counted(answers, batch.labels)
    return found
