"""Losses and accuracies of an epoch of trainings that run as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill.training.tally import Tally


class StackedTally:
    """What an epoch adds up for every member, on the device, so that no step waits for it.

    Args:
        members: How many there are.
        rows: Examples of each step.
        device: Where the losses are.

    Attributes:
        seconds: Time spent on steps so far, of all members together.
    """

    def __init__(self, members: int, rows: Sequence[int], device: torch.device):
        self.seconds = 0.0
        self._rows = rows
        self._device = device
        self._terms = torch.zeros(len(rows), 0, members, device=device)
        self._right = torch.zeros(members, dtype=torch.int64, device=device)

    def add(self, step: int, terms: Tensor, right: Tensor) -> None:
        """Counts a step.

        Args:
            step: Its number in the epoch.
            terms: `[terms, members]`, means over the batch.
            right: `[members]`, how many examples each got right.
        """
        if self._terms.shape[1] != len(terms):
            self._terms = terms.new_zeros(len(self._rows), *terms.shape)
        self._terms[step].copy_(terms)
        self._right += right

    def loss(self, step: int) -> float:
        """The mean loss of a step, over the members that have one."""
        return self._terms[step].sum(dim=0).nanmean().item()

    def first_not_finite(self) -> list[int | None]:
        """For each member the first step whose loss is NaN or infinite, if there is one."""
        bad = ~torch.isfinite(self._terms).all(dim=1)
        firsts = zip(bad.any(dim=0).tolist(), bad.int().argmax(dim=0).tolist(), strict=True)
        return [step if found else None for found, step in firsts]

    def member(self, number: int, step: int) -> Tally:
        """The tally that one member would have kept alone, of one step."""
        tally = Tally(self._rows, self._device)
        answers = torch.zeros(self._rows[step], 1, device=self._device)
        terms = {str(name): term for name, term in enumerate(self._terms[step, :, number])}
        tally.add(step, terms, answers, answers[:, 0].long())
        return tally

    def means(self, names: Sequence[str]) -> list[dict[str, float]]:
        """For each member its losses per example, and its accuracy as seen while the epoch went on.

        Args:
            names: Of the terms.
        """
        rows = torch.tensor(self._rows, dtype=torch.float32, device=self._device)[:, None, None]
        terms = (self._terms * rows).sum(dim=0) / rows.sum()
        columns = zip(terms.sum(dim=0).tolist(), terms.t().tolist(), self._right.tolist(), strict=True)
        return [
            {
                "loss": loss,
                **{f"loss_{name}": value for name, value in zip(names, values, strict=True)},
                "train_accuracy": right / sum(self._rows),
            }
            for loss, values, right in columns
        ]

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {"seconds": self.seconds, "terms": self._terms, "right": self._right}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.seconds = state["seconds"]
        self._terms, self._right = state["terms"].to(self._device), state["right"].to(self._device)
