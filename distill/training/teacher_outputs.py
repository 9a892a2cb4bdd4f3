"""What the teacher answers to the student's batches: asked live, or once per example when that is exact."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distill.data.batches import Batches
from distill.methods import Method
from distill.models.taps import Tapped
from distill.training.precision import Precision
from distill.types import Batch, Output

TeacherOutputs = Callable[[Batch], Output]


def nobody(batch: Batch) -> Output:
    """The teacher of a network that learns from labels alone: an empty answer, which its method never reads."""
    return Output(batch.inputs.new_empty(0))


class Live:
    """Runs the teacher, in evaluation mode and without gradient, on the very inputs the student sees."""

    def __init__(self, teacher: Tapped, precision: Precision):
        self._teacher = teacher
        self._precision = precision
        teacher.network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Output:
        """The teacher's output for the batch."""
        with self._precision.autocast():
            return self._teacher(batch.inputs).float()


class Cached:
    """Logits computed once per example and kept by `Batch.index`.

    Args:
        live: The teacher to ask once.
        batches: All examples of the transfer set.
        batch_size: Examples per forward pass.
    """

    def __init__(self, live: Live, batches: Batches, batch_size: int):
        parts = [live(batch).logits for batch in batches.in_order(batch_size)]
        self._logits: Tensor = torch.cat(parts)

    def __call__(self, batch: Batch) -> Output:
        """The kept output for the batch."""
        return Output(self._logits[batch.index])


def cacheable(method: Method, batches: Batches) -> bool:
    """Whether keeping logits by index gives what a live teacher would: same view each epoch, logits only."""
    return batches.augmentation.deterministic and not method.taps
