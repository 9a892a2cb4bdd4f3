"""Optimisers for trainings that run as one: each has its own rate and decay; the formulas are torch.optim's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill.config.schema import Hparams

# The defaults of torch.optim.Adam and AdamW.
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class StackedOptimizer:
    """Moves the weights of all members at once.

    Args:
        weights: `[members, parameters]`, changed in place.
        hparams: One per member; `optimizer` is the same in all.
    """

    def __init__(self, weights: Tensor, hparams: Sequence[Hparams]):
        self._weights = weights
        self._name = hparams[0].optimizer
        self._decay = self._column([each.weight_decay for each in hparams])
        self._momentum = self._column([each.momentum for each in hparams])
        clips = [each.grad_clip for each in hparams]
        self._clip = None if None in clips else self._column([clip for clip in clips if clip is not None])
        moments = 2 if self._name in ("adam", "adamw") else 1
        self._moments = [torch.zeros_like(weights) for _ in range(moments)]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Tensor, rates: Tensor) -> None:
        """Takes a step.

        Args:
            gradients: `[members, parameters]`; overwritten.
            rates: `[members, 1]` learning rates.
        """
        self._steps += 1
        if self._clip is not None:
            norms = gradients.norm(dim=1, keepdim=True)
            gradients.mul_((self._clip / (norms + 1e-6)).clamp(max=1.0))
        if self._name == "adamw":
            self._weights.mul_(1 - rates * self._decay)
        else:
            gradients.addcmul_(self._weights, self._decay)
        if len(self._moments) == 2:
            self._weights.sub_(self._adaptive(gradients).mul_(rates))
        else:
            self._weights.sub_(self._with_momentum(gradients) * rates)

    def _with_momentum(self, gradients: Tensor) -> Tensor:
        (velocity,) = self._moments
        velocity.mul_(self._momentum).add_(gradients)
        return gradients.addcmul_(velocity, self._momentum) if self._name == "nesterov" else velocity

    def _adaptive(self, gradients: Tensor) -> Tensor:
        mean, square = self._moments
        first, second = _BETAS
        mean.lerp_(gradients, 1 - first)
        square.mul_(second).addcmul_(gradients, gradients, value=1 - second)
        scale = square.sqrt().div_(math.sqrt(1 - second**self._steps)).add_(_EPSILON)
        return torch.div(mean, scale, out=scale).div_(1 - first**self._steps)

    def _column(self, numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=self._weights.dtype, device=self._weights.device)[:, None]

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {"moments": self._moments, "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        for moment, saved in zip(self._moments, state["moments"], strict=True):
            moment.copy_(saved)
        self._steps = state["steps"]
