"""What flows between data, networks and methods."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples as a network sees them: augmented, normalised, on the device.

    Attributes:
        inputs: `[batch, ...]` float32.
        labels: `[batch]` int64 class numbers.
        index: `[batch]` int64, each example's position in the split it was drawn from.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor


@dataclass(frozen=True, slots=True)
class Output:
    """What a network answered, and what its taps read on the way.

    Attributes:
        logits: `[batch, classes]`.
        features: One tensor per tapped module, shallow to deep: `[batch, channels, height, width]` for
            convolutions, `[batch, width]` for linear layers. Empty when nothing is tapped.
        embedding: `[batch, width]`, the input of the classifier; `None` when it is not tapped.
    """

    logits: Tensor
    features: tuple[Tensor, ...] = ()
    embedding: Tensor | None = None

    def float(self) -> Output:
        """The same in fp32, the format that losses are computed in."""
        return Output(
            self.logits.float(),
            tuple(feature.float() for feature in self.features),
            None if self.embedding is None else self.embedding.float(),
        )
