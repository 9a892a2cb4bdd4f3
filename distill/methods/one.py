"""Branches taught by their ensemble: Lan, Zhu, Gong 2018, "Knowledge Distillation by On-the-Fly Native Ensemble".

https://arxiv.org/abs/1806.04606, section 3.2. As in the authors' code the gate has a ReLU before its softmax, and the
ensemble is a constant in what it teaches: it learns from the labels alone. The 1e-7 that the code adds to the
ensemble's probabilities is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distill.methods.soft_targets import soft_target_loss


class Gate(nn.Module):
    """How much each branch counts in the ensemble: linear layer, batch norm, ReLU, softmax.

    Args:
        width: Of the pooled features of the shared trunk.
        branches: How many there are.
    """

    def __init__(self, width: int, branches: int):
        super().__init__()
        self.linear = nn.Linear(width, branches)
        self.norm = nn.BatchNorm1d(branches)

    def forward(self, pooled: Tensor) -> Tensor:
        """`[batch, branches]` shares that sum to 1.

        Args:
            pooled: `[batch, width]`, of the trunk; at least two examples while it trains.
        """
        return self.norm(self.linear(pooled)).relu().softmax(dim=1)


def ensemble_logits(branches: Sequence[Tensor], shares: Tensor) -> Tensor:
    """`[batch, classes]` logits of all branches, weighted.

    Args:
        branches: `[batch, classes]` each.
        shares: `[batch, branches]`, of a `Gate`.
    """
    return (torch.stack(list(branches), dim=1) * shares.unsqueeze(2)).sum(dim=1)


def branch_loss(branches: Sequence[Tensor], ensemble: Tensor, T: float = 3.0) -> Tensor:
    """`sum_i T^2 * KL(ensemble_T || branch_i_T)`, mean over the batch, in fp32.

    It has no gradient with respect to the ensemble.

    Args:
        branches: `[batch, classes]` each.
        ensemble: `[batch, classes]` logits.
        T: Temperature, > 0.
    """
    return torch.stack([soft_target_loss(branch, ensemble.detach(), T) for branch in branches]).sum()
