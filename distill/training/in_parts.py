"""Logits of many examples and classes, some examples at a time: as fp64 all of them may be gigabytes."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

_NUMBERS_AT_ONCE = 1 << 22  # in fp64, 32 MB


def in_parts(logits: Tensor, *beside: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The rows of some tensors, as many at a time as take little memory.

    Args:
        logits: `[examples, classes]`.
        beside: `[examples, ...]` each, divided likewise.

    Yields:
        The same rows of all of them, in their order.
    """
    rows = max(1, _NUMBERS_AT_ONCE // logits.shape[1])
    yield from zip(*(tensor.split(rows) for tensor in (logits, *beside)), strict=True)
