"""Examples mixed in pairs: mixup and cutmix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.seeds import stream_seed
from distill.types import Batch, Mix


@dataclass(frozen=True)
class Box:
    """A part of a picture: rows `top` to before `bottom`, columns `left` to before `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Pixels in it."""
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True)
class Pairing:
    """How the examples of one batch are mixed.

    Attributes:
        partner: `[batch]` int64, which row is mixed into each.
        share: How much of each example is still its own, 0..1.
        box: What comes from the partner (cutmix); `None` blends whole examples (mixup).
    """

    partner: Tensor
    share: float
    box: Box | None

    def mixed(self, batch: Batch) -> Batch:
        """The batch after mixing, its strongly augmented form in the same way; both are changed in place.

        Args:
            batch: Normalised, on the device of `partner`.
        """
        share = torch.full((len(batch),), self.share, dtype=torch.float32, device=batch.inputs.device)
        mix = Mix(batch.labels.index_select(0, self.partner), share)
        strong = None if batch.strong is None else self._blended(batch.strong)
        return Batch(self._blended(batch.inputs), batch.labels, batch.index, mix, batch.view, strong)

    def _blended(self, inputs: Tensor) -> Tensor:
        theirs = inputs.index_select(0, self.partner)
        if self.box is None:
            # Rounded after every step: a fused multiply-add would give other bits on some devices.
            return inputs.mul_(self.share).add_(theirs.mul_(1 - self.share))
        part = (..., slice(self.box.top, self.box.bottom), slice(self.box.left, self.box.right))
        inputs[part] = theirs[part]
        return inputs


@dataclass(frozen=True)
class Mixing:
    """Which kinds of mixing there are; with both on, each batch draws one of them with probability 1/2.

    Attributes:
        mixup: `alpha` of the Beta distribution that the share of the own example is drawn from, once for
            each batch; 0 is off (Zhang et al. 2018).
        cutmix: Likewise, for a box that comes from the other picture (Yun et al. 2019).
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __bool__(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def draw(
        self, sizes: Sequence[int], shape: tuple[int, ...], seed: int, epoch: int, device: torch.device | str
    ) -> list[Pairing]:
        """Decides how the batches of one epoch are mixed; each partner is drawn from the same batch.

        Args:
            sizes: Examples in each batch.
            shape: Of one example.
            seed: Of the run.
            epoch: Its number.
            device: Where the batches are.
        """
        random = np.random.default_rng(stream_seed(seed, "mix", epoch))
        shares = [self._share(shape[-2:], random) for _ in sizes]
        # In one piece to the device: a copy in each step would make the device wait.
        partners = torch.from_numpy(np.concatenate([random.permutation(size) for size in sizes])).to(device)
        return [
            Pairing(partner, share, box)
            for partner, (share, box) in zip(partners.split(list(sizes)), shares, strict=True)
        ]

    def _share(self, sides: Sequence[int], random: np.random.Generator) -> tuple[float, Box | None]:
        blend = self.cutmix == 0 or (self.mixup > 0 and random.random() < 0.5)
        alpha = self.mixup if blend else self.cutmix
        share = float(random.beta(alpha, alpha))
        if blend:
            return share, None
        box = _box(share, sides, random)
        return 1 - box.area / math.prod(sides), box


def _box(share: float, sides: Sequence[int], random: np.random.Generator) -> Box:
    """A box of about `1 - share` of a picture around a pixel drawn uniformly, clipped at the edges."""
    edges: list[int] = []
    for side in sides:
        half = int(side * math.sqrt(1 - share)) // 2
        centre = int(random.integers(side))
        edges += [max(0, centre - half), min(side, centre + half)]
    return Box(*edges)
