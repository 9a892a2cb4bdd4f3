"""Batches of a split: shuffled and augmented to learn from, or in order to measure."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from distill.data.augment import Augmentation
from distill.data.normalization import Normalization
from distill.data.split import Split
from distill.errors import ConfigError
from distill.seeds import generator
from distill.types import Batch


class Batches:
    """The batches of one split.

    The last batch of an epoch may be smaller. Only when it would hold a single example, from which batch
    norm cannot learn, does that example join the batch before.

    Args:
        split: The examples; batches are selected where they lie.
        batch_size: Examples per step, >= 1.
        normalization: Applied to every batch, last.
        augmentation: Applied to the batches of `epoch`.
        seed: Of order and augmentation.
        device: Where batches go, for a split that does not fit there whole; default: where the split is.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        normalization: Normalization,
        augmentation: Augmentation,
        seed: int,
        device: torch.device | str | None = None,
    ):
        self.split = split
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.device = split.inputs.device if device is None else torch.device(device)
        self.normalization = normalization.to(self.device)

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self._bounds())

    def epoch(self, number: int) -> Iterator[Batch]:
        """The shuffled and augmented batches of one epoch.

        All that is random is drawn on the CPU before the first batch: it is the same on every device, and an
        epoch does not depend on which others came before it.
        """
        order = torch.randperm(len(self.split), generator=generator(self.seed, "order", number))
        order = order.to(self.split.inputs.device)
        if self.augmentation.deterministic:
            plan = None
        else:
            plan = self.augmentation.draw(len(self.split), generator(self.seed, "augment", number))
            plan = plan.to(self.device)
        for start, stop in self._bounds():
            inputs, labels, index = self._select(order[start:stop])
            if plan is not None:
                inputs = self.augmentation.apply(inputs, plan[start:stop])
            yield Batch(self.normalization(inputs), labels, index)

    def in_order(self, batch_size: int | None = None) -> Iterator[Batch]:
        """Every example once, in the split's own order, without augmentation."""
        positions = torch.arange(len(self.split), device=self.split.inputs.device)
        for part in positions.split(batch_size or self.batch_size):
            inputs, labels, index = self._select(part)
            yield Batch(self.normalization(inputs), labels, index)

    def _select(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = (self.split.inputs[positions], self.split.labels[positions], positions)
        inputs, labels, index = (tensor.to(self.device, non_blocking=True) for tensor in chosen)
        return inputs, labels, index

    def _bounds(self) -> list[tuple[int, int]]:
        count = len(self.split)
        starts = list(range(0, count, self.batch_size))
        if len(starts) > 1 and count - starts[-1] == 1 < self.batch_size:
            starts.pop()
        return list(zip(starts, [*starts[1:], count], strict=True))


def check_batch_size(key: str, batch_size: int, examples: int) -> None:
    """Refuses a batch that is larger than the data.

    Args:
        key: What the user would change, such as `hparams.student.batch_size`.
        batch_size: Examples per step.
        examples: How many there are to learn from.

    Raises:
        ConfigError: The batch is larger.
    """
    if batch_size > examples:
        there = "is 1 example" if examples == 1 else f"are {examples} examples"
        raise ConfigError(f"{key}={batch_size} is not allowed: there {there} to train on; give at most {examples}.")
