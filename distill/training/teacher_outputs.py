"""What the teacher answers to the student's batches: asked live, or once per example when that is exact."""

from __future__ import annotations

from collections.abc import Callable

import torch

from distill.data.batches import Batches
from distill.data.memory import SHARE, free_bytes
from distill.methods import Method
from distill.models.taps import Tapped
from distill.training.layout import freeze
from distill.training.precision import Precision
from distill.types import Batch, Output

_BYTES = 4  # of a logit in fp32

TeacherOutputs = Callable[[Batch], Output]


def nobody(batch: Batch) -> Output:
    """The teacher of a network that learns from labels alone: an empty answer, which its method never reads."""
    return Output(batch.inputs.new_empty(0))


class Live:
    """Runs the teacher, in evaluation mode and without gradient, on the very inputs the student sees.

    Args:
        teacher: From now on only to be asked, under autocast of its precision.
        precision: Of its forward pass.
    """

    def __init__(self, teacher: Tapped, precision: Precision):
        self._teacher = teacher
        self.precision = precision
        freeze(teacher.network, precision)

    @property
    def heads(self) -> int:
        """How many heads of it are read."""
        return len(self._teacher.taps.heads)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Output:
        """The teacher's output for the batch."""
        return self.through(batch)

    def through(self, batch: Batch) -> Output:
        """The same, with gradient to the inputs."""
        with self.precision.autocast():
            return self._teacher.see(batch).float()


class Cached:
    """Logits, of all heads, computed once per example, and per view where there are such, and kept by `Batch.index`.

    Args:
        live: The teacher to ask once.
        batches: All examples of the transfer set.
        batch_size: Examples per forward pass.
    """

    def __init__(self, live: Live, batches: Batches, batch_size: int):
        views = range(batches.views or 1)
        self._answers = [_joined([live(batch) for batch in batches.view(view, batch_size)]) for view in views]

    @property
    def views(self) -> int:
        """How many views of each example the teacher was shown."""
        return len(self._answers)

    def __call__(self, batch: Batch) -> Output:
        """The kept output for the batch."""
        kept = self._answers[batch.view]
        heads = tuple(head.index_select(0, batch.index) for head in kept.heads)
        return Output(kept.logits.index_select(0, batch.index), heads=heads)


def _joined(answers: list[Output]) -> Output:
    heads = zip(*(answer.heads for answer in answers), strict=True)
    return Output(torch.cat([answer.logits for answer in answers]), heads=tuple(torch.cat(head) for head in heads))


def cacheable(method: Method, batches: Batches, classes: int) -> bool:
    """Whether keeping logits by index gives what a live teacher would, in memory that is there.

    That takes views that come back in every epoch, and a method that reads logits only.

    Args:
        method: What reads the outputs.
        batches: The transfer set.
        classes: Width of the logits, of all heads together.
    """
    if batches.views is None or method.taps - {"heads"} or method.strong:
        return False
    return batches.views * len(batches.split) * classes * _BYTES <= free_bytes(batches.device) * SHARE
