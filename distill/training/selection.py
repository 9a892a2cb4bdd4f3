"""Which epoch's weights are kept: the last one's, or those that did best on validation examples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn


class Selection:
    """The weights to keep, while a training goes on.

    Args:
        select: `last` or `best_val`.
        modules: What is kept together: the network as it is evaluated, and the method's adapters.

    Attributes:
        epoch: Whose weights they are, from 1; 0 before the first one has ended.
    """

    def __init__(self, select: str, modules: Sequence[nn.Module]):
        self._by_score = select == "best_val"
        self._modules = modules
        self._states: list[dict[str, Tensor]] = []
        self._score = -math.inf
        self.epoch = 0

    def saw(self, epoch: int, score: float | None) -> None:
        """Looks at an epoch that has ended; of equally good ones the first is kept.

        Args:
            epoch: Its number, from 1.
            score: Accuracy on validation examples, or R2; needed for `best_val`.
        """
        if not self._by_score:
            self.epoch = epoch
            return
        assert score is not None, "the config refuses best_val without validation examples"
        if score > self._score:
            self.epoch, self._score = epoch, score
            self._states = [_copied(module.state_dict()) for module in self._modules]

    def settle(self) -> None:
        """Puts the weights to keep into the modules; training cannot go on from them."""
        for module, state in zip(self._modules, self._states, strict=False):
            module.load_state_dict(state)

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {"epoch": self.epoch, "accuracy": self._score, "states": self._states}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.epoch, self._score, self._states = state["epoch"], state["accuracy"], state["states"]


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, as memory of a GPU is for training."""
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}
