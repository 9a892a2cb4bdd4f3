"""What flows between data, networks and methods."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mix:
    """What was mixed into the examples of a batch (mixup, cutmix).

    Attributes:
        labels: `[batch, ...]` as in `Batch`, of the examples that were mixed in.
        share: `[batch]` float32, how much of each example is still its own, 0..1.
    """

    labels: Tensor
    share: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples as a network sees them: augmented, normalised, on the device.

    Attributes:
        inputs: `[batch, ...]` float32.
        labels: `[batch]` int64 class numbers; `[batch, targets]` float32 in a regression, standardised.
        index: `[batch]` int64, each example's position in the split it was drawn from.
        mix: What was mixed into them, if anything.
        view: Which of the fixed views of the examples this is, where there are such; else 0.
        strong: `[batch, ...]` float32, the same examples under strong augmentation, for a method that asks for it.
        whole: `[batch, ...]` float32, the same examples as the teacher sees them, where it sees more.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor
    mix: Mix | None = None
    view: int = 0
    strong: Tensor | None = None
    whole: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def split(self, parts: int) -> list[Batch]:
        """The batch in at most `parts` batches of nearly equal size, in order; of two examples each at least."""
        cuts = torch.tensor_split(torch.arange(len(self)), max(1, min(parts, len(self) // 2)))
        return [self.rows(slice(int(cut[0]), int(cut[-1]) + 1)) for cut in cuts]

    def rows(self, rows: slice) -> Batch:
        """Some of the examples."""
        mix = self.mix and Mix(self.mix.labels[rows], self.mix.share[rows])
        strong = None if self.strong is None else self.strong[rows]
        whole = None if self.whole is None else self.whole[rows]
        return Batch(self.inputs[rows], self.labels[rows], self.index[rows], mix, self.view, strong, whole)


@dataclass(frozen=True, slots=True)
class Output:
    """What a network answered, and what its taps read on the way.

    Attributes:
        logits: `[batch, classes]`; the standardised answers `[batch, targets]` in a regression.
        features: One tensor per tapped module, shallow to deep: `[batch, channels, height, width]` for
            convolutions, `[batch, width]` for linear layers. Empty when nothing is tapped.
        embedding: `[batch, width]`, the input of the classifier; `None` when it is not tapped.
        preactivations: The feature maps before their last activation, as many as `features`.
        heads: `[batch, classes]` each, of a network with several classifiers.
        strong: What it answered to `Batch.strong`.
    """

    logits: Tensor
    features: tuple[Tensor, ...] = ()
    embedding: Tensor | None = None
    preactivations: tuple[Tensor, ...] = ()
    heads: tuple[Tensor, ...] = ()
    strong: Output | None = None

    def float(self) -> Output:
        """The same in fp32, the format that losses are computed in."""
        return Output(
            self.logits.float(),
            tuple(feature.float() for feature in self.features),
            None if self.embedding is None else self.embedding.float(),
            tuple(feature.float() for feature in self.preactivations),
            tuple(head.float() for head in self.heads),
            None if self.strong is None else self.strong.float(),
        )
