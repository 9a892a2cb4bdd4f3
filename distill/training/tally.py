"""Losses and accuracy of an epoch while it goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill.training.world import World


class Tally:
    """What an epoch adds up, on the device, so that no step waits for it.

    Args:
        rows: Examples of each step, over all processes.
        device: Where the losses are.

    Attributes:
        seconds: Time spent on steps so far.
    """

    def __init__(self, rows: Sequence[int], device: torch.device):
        self.seconds = 0.0
        self._rows = rows
        self._device = device
        self._names: list[str] = []
        self._terms = torch.zeros(len(rows), 0, device=device)
        self._right = torch.zeros(sum(rows), dtype=torch.bool, device=device)
        self._seen = 0
        self._skipped = torch.zeros((), device=device)
        self._nothing = torch.zeros((), device=device)

    def add(self, step: int, losses: dict[str, Tensor], logits: Tensor, labels: Tensor) -> None:
        """Counts a step, or the part of it that went through the network at once.

        Args:
            step: Its number in the epoch.
            losses: The terms of the loss, each a mean over these examples.
            logits: `[batch, classes]`.
            labels: `[batch]`.
        """
        new = [name for name in losses if name not in self._names]
        if new:
            self._make_room(new)
        terms = torch.stack([losses[name].detach() if name in losses else self._nothing for name in self._names])
        self._terms[step].add_(terms, alpha=len(labels) / self._rows[step])
        seen = self._seen + len(labels)
        torch.eq(logits.detach().argmax(dim=1), labels, out=self._right[self._seen : seen])
        self._seen = seen

    def skip(self, skipped: Tensor) -> None:
        """Counts a step that moved nothing where `skipped`, a scalar, is 1."""
        self._skipped += skipped

    def loss(self, step: int) -> Tensor:
        """The loss of a step, the sum of its terms, a scalar."""
        return self._terms[step].sum()

    def finite(self, first: int, stop: int) -> bool:
        """Whether the losses from step `first` on and before `stop` are neither NaN nor infinite."""
        return math.isfinite(self._terms[first:stop].sum().item())

    def first_not_finite(self, first: int, stop: int) -> int:
        """The first of those steps whose loss is NaN or infinite; the last if each is finite and their sum is not."""
        bad = (~torch.isfinite(self._terms[first:stop])).any(dim=1).nonzero()
        return first + int(bad[0]) if len(bad) else stop - 1

    def means(self, world: World) -> dict[str, float]:
        """Losses per example, training accuracy as seen while the epoch went on, and skipped steps if there are any."""
        right = self._right.sum()
        world.add_up([self._terms])
        world.add_up([right])
        rows = torch.tensor(self._rows, dtype=torch.float32, device=self._device)[:, None]
        seen = torch.isfinite(self._terms).all(dim=1, keepdim=True)  # a step that was skipped has no loss to speak of
        means = torch.where(seen, self._terms * rows, 0.0).sum(dim=0) / (rows * seen).sum()
        names = [f"loss_{name}" for name in self._names]
        skipped = int(self._skipped)
        return {
            "loss": means.sum().item(),
            **dict(zip(names, means.tolist(), strict=True)),
            "train_accuracy": right.item() / sum(self._rows),
            **({"skipped": skipped} if skipped else {}),
        }

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {
            "seconds": self.seconds,
            "names": self._names,
            "terms": self._terms,
            "right": self._right,
            "seen": self._seen,
            "skipped": self._skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.seconds = state["seconds"]
        self._names, self._seen = list(state["names"]), state["seen"]
        self._terms, self._right, self._skipped = (state[key].to(self._device) for key in ("terms", "right", "skipped"))

    def _make_room(self, names: list[str]) -> None:
        """A method may begin to use a term in the middle of an epoch."""
        self._terms = torch.cat([self._terms, self._terms.new_zeros(len(self._rows), len(names))], dim=1)
        self._names += names
