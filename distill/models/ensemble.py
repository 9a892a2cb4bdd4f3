"""Several networks that answer together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from distill.models.taps import Taps

Mean = Literal["probabilities", "logits"]


class Ensemble(nn.Module):
    """The mean answer of several networks; what each of them answers can be read as its `heads`.

    Args:
        networks: Take the same inputs, and answer for the same classes.
        mean: Of the `probabilities`, given as their logarithms, or of the `logits`.
    """

    def __init__(self, networks: Sequence[nn.Module], mean: Mean = "probabilities"):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.taps = Taps(heads=tuple(f"networks.{number}" for number in range(len(networks))))
        self._mean: Mean = mean

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, ...]`."""
        return mean_logits([network(inputs) for network in self.networks], self._mean)


def mean_logits(answers: Sequence[Tensor], mean: Mean, T: float = 1.0) -> Tensor:
    """`[batch, classes]` in fp32: logits of the mean probabilities at a temperature, or the mean logits divided by it.

    Equal answers have themselves as a mean, up to a constant for each example.

    Args:
        answers: Logits `[batch, classes]` of each network.
        mean: Of what.
        T: Temperature, > 0.
    """
    logits = torch.stack([answer.float() for answer in answers]) / T
    if mean == "logits":
        return logits.mean(dim=0)
    return torch.logsumexp(logits.log_softmax(dim=2), dim=0) - math.log(len(answers))
