"""Losses and accuracy of an epoch while it goes on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Tally:
    """What an epoch adds up, on the device, so that no step waits for it.

    Args:
        steps: Of the epoch.
        device: Where the losses are.

    Attributes:
        trace: `[steps]` loss of each step, 0 for those still to come.
        seconds: Time spent on steps so far.
    """

    def __init__(self, steps: int, device: torch.device):
        self.trace = torch.zeros(steps, device=device)
        self.seconds = 0.0
        self._losses: dict[str, Tensor] = {}
        self._right = torch.zeros((), dtype=torch.int64, device=device)
        self._examples = 0

    def add(self, step: int, loss: Tensor, losses: dict[str, Tensor], logits: Tensor, labels: Tensor) -> None:
        """Counts a step.

        Args:
            step: Its number in the epoch.
            loss: What was descended on, mean over the batch.
            losses: Its terms by name.
            logits: `[batch, classes]`.
            labels: `[batch]`.
        """
        size = len(labels)
        self.trace[step] = loss.detach()
        for name, value in {"loss": loss, **{f"loss_{key}": term for key, term in losses.items()}}.items():
            added = value.detach() * size
            self._losses[name] = self._losses[name] + added if name in self._losses else added
        self._right += (logits.detach().argmax(dim=1) == labels).sum()
        self._examples += size

    def means(self) -> dict[str, float]:
        """Losses per example and training accuracy, as seen while the epoch went on."""
        return {
            **{name: (value / self._examples).item() for name, value in self._losses.items()},
            "train_accuracy": self._right.item() / self._examples,
        }

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "trace": self.trace,
            "seconds": self.seconds,
            "losses": self._losses,
            "right": self._right,
            "examples": self._examples,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        device = self.trace.device
        self.trace = state["trace"].to(device)
        self.seconds = state["seconds"]
        self._losses = {name: value.to(device) for name, value in state["losses"].items()}
        self._right = state["right"].to(device)
        self._examples = state["examples"]
