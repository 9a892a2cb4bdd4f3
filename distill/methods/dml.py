"""Mutual learning: Zhang, Xiang, Hospedales, Lu 2018, "Deep Mutual Learning".

https://arxiv.org/abs/1706.00384, equation 8: the divergences from the peers are averaged. The authors' code sums
them, which is the same for two networks, and guards its logarithms with 1e-8, which log-softmax does not need.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.methods.soft_targets import soft_target_loss


def mutual_loss(logits: Tensor, peers: Sequence[Tensor]) -> Tensor:
    """`1 / (K - 1) * sum_l KL(peer_l || network)` at T = 1, mean over the batch, in fp32.

    Zero where all agree up to a constant per example. It has no gradient with respect to the peers.

    Args:
        logits: `[batch, classes]`, of the network that learns.
        peers: `[batch, classes]` each, of the K - 1 others; at least one.

    Raises:
        ConfigError: The number of classes differs.
    """
    return torch.stack([soft_target_loss(logits, peer.detach(), 1.0) for peer in peers]).mean()
