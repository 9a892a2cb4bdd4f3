"""A memory of one embedding per example, for methods that compare a batch with more than itself."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


class Memory(nn.Module):
    """Embeddings of length 1, one per example of the transfer set, kept with the method.

    Args:
        examples: How many there are.
        width: Of an embedding.

    Attributes:
        rows: `[examples, width]`.
        normalizer: What scores against this memory are divided by; 0 until it is settled.
    """

    rows: Tensor
    normalizer: Tensor

    def __init__(self, examples: int, width: int):
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.rand(examples, width) - 0.5, dim=1))
        self.register_buffer("normalizer", torch.zeros(()))

    def products(self, embedding: Tensor, chosen: Tensor | None) -> Tensor:
        """Products of each embedding with rows of the memory as they are now.

        Args:
            embedding: `[batch, width]`.
            chosen: `[batch, count]` int64, which rows; `None` takes all of them.

        Returns:
            `[batch, count]`, or `[batch, examples]`.
        """
        examples, width = self.rows.shape
        if chosen is not None and examples > chosen.shape[1] * width:
            return (self.rows[chosen] @ embedding[:, :, None])[:, :, 0]
        # All products need less memory than the chosen rows would. They are of a copy, because the memory moves on
        # before their gradient is computed.
        products = embedding @ self.rows.clone().t()
        return products if chosen is None else products.gather(1, chosen)

    @torch.no_grad()
    def settle(self, normalizer: Tensor) -> None:
        """Fixes the normaliser, unless it is settled already."""
        self.normalizer.copy_(torch.where(self.normalizer > 0, self.normalizer, normalizer))

    @torch.no_grad()
    def remember(self, index: Tensor, embedding: Tensor, momentum: float) -> None:
        """Moves rows towards new embeddings of their examples.

        Args:
            index: `[batch]` int64, which rows, each once.
            embedding: `[batch, width]`.
            momentum: How much of the old row stays, 0..1.
        """
        moved = momentum * self.rows[index] + (1 - momentum) * embedding
        self.rows.index_copy_(0, index, F.normalize(moved, dim=1))


class Negatives(nn.Module):
    """Draws examples of other classes, with replacement; or takes all of them, where they are no more than asked for.

    Args:
        labels: `[examples]` int64.
        count: How many for each example.

    Attributes:
        all: Whether all of them are taken.
    """

    labels: Tensor
    order: Tensor
    first: Tensor
    size: Tensor

    def __init__(self, labels: Tensor, count: int):
        super().__init__()
        size = torch.bincount(labels)
        self.count = count
        self.all = count >= len(labels) - int(size[size > 0].min())
        derived = {"labels": labels, "order": labels.argsort(stable=True), "first": size.cumsum(0) - size, "size": size}
        for name, value in derived.items():
            self.register_buffer(name, value, persistent=False)

    def draw(self, labels: Tensor) -> Tensor:
        """`[batch, count]` int64 positions of examples of other classes than `labels` `[batch]`."""
        size, first = self.size[labels][:, None], self.first[labels][:, None]
        # A place among the examples sorted by class, past those of the own class.
        drawn = torch.randint(2**62, (len(labels), self.count), device=labels.device) % (len(self.order) - size)
        return self.order[torch.where(drawn < first, drawn, drawn + size)]

    def shares(self, labels: Tensor) -> Tensor:
        """`[batch, examples]`, how often each example would be drawn on average."""
        others = len(self.labels) - self.size[labels]
        return (labels[:, None] != self.labels) * (self.count / others)[:, None]


@torch.no_grad()
def from_all_processes(index: Tensor, *embeddings: Tensor) -> tuple[Tensor, ...]:
    """The batch that several processes share, as each of them knows a part of it; the same in all of them.

    Args:
        index: `[part]` int64.
        embeddings: `[part, width]` float32 each.
    """
    if not _several():
        return (index, *embeddings)
    # Parts differ in length. That is told between the CPUs, so that no device is waited for.
    lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(lengths, torch.tensor([len(index)]))
    parts = [int(length) for length in lengths]
    return tuple(_joined(each, parts) for each in (index, *embeddings))


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a scalar over all processes that train together."""
    if _several():
        value = value.clone()
        dist.all_reduce(value)
        value = value / dist.get_world_size()
    return value


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _joined(part: Tensor, lengths: list[int]) -> Tensor:
    padded = part.new_zeros(max(lengths), *part.shape[1:])
    padded[: len(part)] = part
    gathered = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(gathered, padded)
    return torch.cat([each[:length] for each, length in zip(gathered, lengths, strict=True)])
