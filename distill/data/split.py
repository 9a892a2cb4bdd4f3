"""Examples that belong together, such as those to train on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.data.pictures import Pictures, everything

# The label of an example that has none.
HIDDEN = -1


@dataclass(frozen=True)
class Split:
    """Raw examples and their labels.

    Attributes:
        inputs: `[examples, channels, height, width]` uint8 for pictures, `[examples, ...]` float32 otherwise;
            `Pictures` when they do not fit into memory.
        labels: `[examples]` int64 class numbers, `HIDDEN` where there is none; `[examples, targets]` float32 in a
            regression.
        truth: `[examples]` what the labels would be, where some are hidden. For reports alone: nothing learns from it.
    """

    inputs: Tensor | Pictures
    labels: Tensor
    truth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """What the examples take in memory, bytes."""
        return self.inputs.nbytes + self.labels.nbytes

    @property
    def tensor(self) -> Tensor:
        """The inputs, of examples that are known to be in memory."""
        assert isinstance(self.inputs, Tensor)
        return self.inputs

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.inputs.device

    def to(self, device: torch.device | str) -> Split:
        """The same examples on `device`; pictures on disk are read into its memory, unless it is the CPU."""
        if self.device.type == torch.device(device).type:
            return self
        inputs = self.inputs.to(device) if isinstance(self.inputs, Tensor) else everything(self.inputs, device)
        return Split(inputs, self.labels.to(device), self.truth)

    def take(self, positions: Tensor) -> Split:
        """The examples at `positions` (`[count]` int64), in that order; pictures on disk stay there."""
        if len(positions) == len(self) and torch.equal(positions.cpu(), torch.arange(len(self))):
            return self  # without a copy
        inputs = self.inputs[positions] if isinstance(self.inputs, Tensor) else self.inputs.take(positions)
        return Split(inputs, self.labels[positions], None if self.truth is None else self.truth[positions.cpu()])
