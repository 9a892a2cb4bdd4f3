"""Which epoch's weights are kept of each of the trainings that run as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class StackedSelection:
    """The weights to keep of every member; as `Selection` for one network.

    Args:
        select: `last` or `best_val`.
        weights: `[members, parameters]` as they are evaluated.
    """

    def __init__(self, select: str, weights: Tensor):
        self._best = weights.clone() if select == "best_val" else None
        self._accuracies = [-1.0] * len(weights)
        self._epochs = [0] * len(weights)

    def saw(self, epoch: int, accuracies: Sequence[float | None], weights: Tensor) -> None:
        """Looks at an epoch that has ended.

        Args:
            epoch: Its number, from 1.
            accuracies: Of each member on validation examples, 0..1.
            weights: `[members, parameters]`.
        """
        if self._best is None:
            self._epochs = [epoch] * len(self._epochs)
            return
        for number, accuracy in enumerate(accuracies):
            assert accuracy is not None, "the config refuses best_val without validation examples"
            if accuracy > self._accuracies[number]:
                self._epochs[number], self._accuracies[number] = epoch, accuracy
                self._best[number].copy_(weights[number])

    def kept(self, weights: Tensor, number: int) -> tuple[Tensor, int]:
        """The weights to keep of one member, `[parameters]`, and the epoch that they are of.

        Args:
            weights: `[members, parameters]` of the last epoch.
            number: Of the member.
        """
        return (weights if self._best is None else self._best)[number], self._epochs[number]

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {"best": self._best, "accuracies": self._accuracies, "epochs": self._epochs}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self._accuracies, self._epochs = state["accuracies"], state["epochs"]
        if self._best is not None:
            with torch.no_grad():
                self._best.copy_(state["best"])
