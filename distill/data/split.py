"""Examples that belong together, such as those to train on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Raw examples and their labels.

    Attributes:
        inputs: `[examples, channels, height, width]` uint8 for pictures, `[examples, ...]` float32 otherwise.
        labels: `[examples]` int64 class numbers.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """What the examples take in memory, bytes."""
        return self.inputs.nbytes + self.labels.nbytes

    def to(self, device: torch.device | str) -> Split:
        """The same examples on `device`."""
        return Split(self.inputs.to(device), self.labels.to(device))

    def take(self, positions: Tensor) -> Split:
        """The examples at `positions` (`[count]` int64), in that order."""
        everything = len(positions) == len(self) and torch.equal(positions.cpu(), torch.arange(len(self)))
        # Indexing copies, and a memory-mapped split may be larger than the memory.
        return self if everything else Split(self.inputs[positions], self.labels[positions])
