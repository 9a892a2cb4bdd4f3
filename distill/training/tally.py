"""Losses and accuracy of an epoch while it goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from distill.data.targets import Targets
from distill.training.reached import counted, named
from distill.training.world import World

# What stands before the name of a number that is logged and not trained on.
_OBSERVED = "observed:"


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    share: float  # of the batch
    terms: dict[str, Tensor]
    logits: Tensor
    labels: Tensor


class Tally:
    """What an epoch adds up, on the device, so that no step waits for it.

    Args:
        rows: Examples of each step, over all processes.
        device: Where the losses are.
        labels: Of all examples of the epoch.
        targets: What they mean in a regression.

    Attributes:
        seconds: Time spent on steps so far.
    """

    def __init__(
        self, rows: Sequence[int], device: torch.device, labels: Tensor | None = None, targets: Targets | None = None
    ):
        self.seconds = 0.0
        self._rows = rows
        self._device = device
        self._labels = labels
        self._hidden = 0  # examples without a label, each of which an epoch shows once
        if labels is not None and targets is None:
            self._hidden = int((labels < 0).sum())
        self._targets = targets
        self._names: list[str] = []
        self._terms = torch.zeros(len(rows), 0, device=device)
        self._right = torch.zeros((), dtype=torch.int64, device=device)
        # By step, as the sum of numbers that are not whole depends on their order.
        self._errors = torch.zeros(len(rows), 0 if targets is None else len(targets.names), device=device)
        self._skipped = torch.zeros((), device=device)
        self._nothing = torch.zeros((), device=device)
        # Counted together when somebody looks: many small operations in every step would slow it down.
        self._pending: list[_Step] = []

    def add(
        self,
        step: int,
        losses: dict[str, Tensor],
        logits: Tensor,
        labels: Tensor,
        observed: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Counts a step, or the part of it that went through the network at once.

        Args:
            step: Its number in the epoch.
            losses: The terms of the loss, each a mean over these examples.
            logits: `[batch, classes]`, or `[batch, targets]`.
            labels: `[batch]`, or `[batch, targets]`.
            observed: Likewise, what is logged and no part of the loss.
        """
        terms = {name: loss.detach() for name, loss in losses.items()}
        terms |= {f"{_OBSERVED}{name}": value for name, value in observed.items()}
        self._pending.append(_Step(step, len(labels) / self._rows[step], terms, logits.detach(), labels))

    def skip(self, skipped: Tensor) -> None:
        """Counts a step that moved nothing where `skipped`, a scalar, is 1."""
        self._skipped += skipped

    def loss(self, step: int) -> Tensor:
        """The loss of a step, the sum of its terms, a scalar."""
        self._count()
        return self._losses()[step].sum()

    def finite(self, first: int, stop: int) -> bool:
        """Whether the losses from step `first` on and before `stop` are neither NaN nor infinite."""
        self._count()
        return math.isfinite(self._losses()[first:stop].sum().item())

    def first_not_finite(self, first: int, stop: int) -> int:
        """The first of those steps whose loss is NaN or infinite; the last if each is finite and their sum is not."""
        bad = (~torch.isfinite(self._losses()[first:stop])).any(dim=1).nonzero()
        return first + int(bad[0]) if len(bad) else stop - 1

    def means(self, world: World) -> dict[str, float]:
        """Losses per example, training accuracy (or R2 and RMSE) as seen while the epoch went on, and skipped steps."""
        self._count()
        world.add_up([self._terms])
        world.add_up([self._right] if self._targets is None else [self._errors])
        rows = torch.tensor(self._rows, dtype=torch.float32, device=self._device)[:, None]
        seen = torch.isfinite(self._losses()).all(dim=1, keepdim=True)  # one that was skipped has no loss to speak of
        means = torch.where(seen, self._terms * rows, 0.0).sum(dim=0) / (rows * seen).sum()
        names = [name.removeprefix(_OBSERVED) if name.startswith(_OBSERVED) else f"loss_{name}" for name in self._names]
        skipped = int(self._skipped)
        return {
            "loss": means[self._trained()].sum().item(),
            **dict(zip(names, means.tolist(), strict=True)),
            **self._reached(),
            **({"skipped": skipped} if skipped else {}),
        }

    def _reached(self) -> dict[str, float]:
        if self._targets is None or self._labels is None:
            return {"train_accuracy": self._right.item() / max(1, sum(self._rows) - self._hidden)}
        found = named(self._errors.sum(dim=0), self._labels, self._targets)
        return {f"train_{name}": value for name, value in found.items()}

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        self._count()
        return {
            "seconds": self.seconds,
            "names": self._names,
            "terms": self._terms,
            "right": self._right,
            "errors": self._errors,
            "skipped": self._skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.seconds = state["seconds"]
        self._names = list(state["names"])
        self._terms, self._right, self._skipped = (state[key].to(self._device) for key in ("terms", "right", "skipped"))
        self._errors = state["errors"].to(self._device)

    def _trained(self) -> list[int]:
        return [number for number, name in enumerate(self._names) if not name.startswith(_OBSERVED)]

    def _losses(self) -> Tensor:
        """`[steps, terms]` of the loss alone."""
        trained = self._trained()
        return self._terms if len(trained) == len(self._names) else self._terms[:, trained]

    def _count(self) -> None:
        """Adds what is pending, and makes room for terms that a method began to use in the middle of the epoch."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        new = dict.fromkeys(name for step in pending for name in step.terms if name not in self._names)
        if new:
            self._terms = torch.cat([self._terms, self._terms.new_zeros(len(self._rows), len(new))], dim=1)
            self._names += new
        terms = torch.stack([step.terms.get(name, self._nothing) for step in pending for name in self._names])
        shares = torch.tensor([step.share for step in pending], device=self._device)
        steps = torch.tensor([step.number for step in pending], device=self._device)
        self._terms.index_add_(0, steps, terms.view(len(pending), -1) * shares[:, None])
        if self._targets is not None:
            found = torch.stack([counted(step.logits, step.labels) for step in pending])
            self._errors.index_add_(0, steps, found)
            return
        answers = torch.cat([step.logits for step in pending]).argmax(dim=1)
        self._right += (answers == torch.cat([step.labels for step in pending])).sum()
