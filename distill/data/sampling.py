"""In which order an epoch shows examples so that every class is seen as often as the others."""

from __future__ import annotations

import torch
from torch import Tensor


def balanced(labels: Tensor, random: torch.Generator) -> Tensor:
    """An epoch of as many examples as there are, in which no class that has any appears once more than another.

    Of a large class some examples are left out, others each time; those of a small one come back, each as often as the
    others or once more. Examples without a label appear once each.

    Args:
        labels: `[examples]` int64, on the CPU; -1 for none.
        random: Decides which ones, and their order.

    Returns:
        `[examples]` int64 positions.
    """
    shuffled = torch.randperm(len(labels), generator=random)
    unlabelled = shuffled[labels[shuffled] < 0]
    known = shuffled[labels[shuffled] >= 0]
    available = torch.bincount(labels[known])
    present = available.nonzero().flatten()
    if not len(present):
        return shuffled
    wanted = torch.full((len(present),), len(known) // len(present))
    wanted[torch.randperm(len(present), generator=random)[: len(known) % len(present)]] += 1
    groups = known[labels[known].sort(stable=True).indices].split(available[present].tolist())
    drawn = [group[torch.arange(int(count)) % len(group)] for group, count in zip(groups, wanted, strict=True)]
    chosen = torch.cat([unlabelled, *drawn])
    return chosen[torch.randperm(len(chosen), generator=random)]
