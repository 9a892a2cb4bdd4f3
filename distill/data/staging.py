"""Batches on their way from main memory to a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def delivered(batches: Iterable[tuple[Tensor, ...]], device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """The same batches on `device`; to a CUDA device the next one travels while this one is worked on.

    Args:
        batches: Tensors anywhere.
        device: Where they are wanted.
    """
    if device.type != "cuda":
        for batch in batches:
            yield tuple(tensor.to(device) for tensor in batch)
        return
    stream = torch.cuda.Stream(device)
    travelling: tuple[tuple[Tensor, ...], torch.cuda.Event] | None = None
    for batch in batches:
        # Pinned memory comes from torch's own cache, which keeps it from being used again before the copy is done.
        with torch.cuda.stream(stream):
            sent = tuple(tensor.pin_memory().to(device, non_blocking=True) for tensor in batch)
        if travelling is not None:
            yield _arrived(*travelling)
        event = torch.cuda.Event()
        event.record(stream)
        travelling = sent, event
    if travelling is not None:
        yield _arrived(*travelling)


def _arrived(batch: tuple[Tensor, ...], event: torch.cuda.Event) -> tuple[Tensor, ...]:
    working = torch.cuda.current_stream(batch[0].device)
    working.wait_event(event)
    for tensor in batch:
        # Allocated on the other stream: its memory may be reused only when work on this one is over.
        tensor.record_stream(working)
    return batch
