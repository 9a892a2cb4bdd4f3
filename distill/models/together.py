"""Networks that learn in one pass, side by side."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from distill.models.taps import Taps


class Together(nn.Module):
    """Several networks of which the first one's answer is that of the whole; each one's can be read as its `heads`.

    Args:
        networks: Take the same inputs.
        noise: Standard deviation of Gaussian noise that each network, while it trains, finds in its inputs; each has
            noise of its own.
    """

    def __init__(self, networks: Iterable[nn.Module], noise: float = 0.0):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.taps = Taps(heads=tuple(f"networks.{number}" for number in range(len(self.networks))))
        self._noise = noise

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, ...]`."""
        answers = [network(self._seen(inputs)) for network in self.networks]
        return answers[0]

    def _seen(self, inputs: Tensor) -> Tensor:
        return noisy(inputs, self._noise) if self.training and self._noise else inputs


def noisy(inputs: Tensor, deviation: float) -> Tensor:
    """Inputs with Gaussian noise.

    Args:
        inputs: Any shape.
        deviation: Standard deviation, in units of the inputs.
    """
    return inputs + deviation * torch.randn_like(inputs)
