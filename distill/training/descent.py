"""One step down the gradient: of a whole batch, in as many parts and processes as it is computed in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from distill.config.schema import Hparams
from distill.training import optimizers
from distill.training.precision import Precision
from distill.training.world import World


class Descent:
    """Moves parameters; holds the optimiser and, for fp16, the loss scaler.

    Args:
        parameters: Of the network.
        hparams: Optimiser, clipping, and what to do with a gradient that is not finite.
        precision: Of the forward pass.
        world: The processes that share a batch.
        adapters: Parameters of the method.
        lr_scale: Learning rate of those, as a multiple of the network's.

    Attributes:
        skips: Whether a step may be skipped.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        hparams: Hparams,
        precision: Precision,
        world: World,
        adapters: Iterable[nn.Parameter] = (),
        lr_scale: float = 1.0,
    ):
        network, own = ([each for each in some if each.requires_grad] for some in (parameters, adapters))
        self._parameters = [*network, *own]
        groups = [self._parameters] if lr_scale == 1 or not own else [network, own]
        self._scales = (1.0, lr_scale)[: len(groups)]
        self._optimizer = optimizers.build([{"params": group} for group in groups], hparams)
        self._scaler = precision.scaler()
        self._clip = hparams.grad_clip
        self.skips = hparams.on_nan == "skip" or self._scaler is not None
        self._world = world

    @property
    def rate(self) -> float:
        """The learning rate of the latest step."""
        return self._optimizer.param_groups[0]["lr"]

    @property
    def stuck(self) -> bool:
        """Whether steps that are skipped will go on to be: a scaler still has smaller scales to try."""
        return self._scaler is None or self._scaler.get_scale() < 1

    def begin(self, rate: float) -> None:
        """Starts a step.

        Args:
            rate: Its learning rate.
        """
        for group, scale in zip(self._optimizer.param_groups, self._scales, strict=True):
            group["lr"] = rate * scale
        self._optimizer.zero_grad(set_to_none=True)

    def add(self, loss: Tensor) -> None:
        """Adds the gradient of a part of the batch; the losses of all parts must sum to that of the batch."""
        (self._scaler.scale(loss) if self._scaler else loss).backward()

    def finish(self) -> Tensor | None:
        """Takes the step.

        Returns:
            Where steps may be skipped: 1.0 if this one was, else 0.0, a scalar on the device.
        """
        if self._world.size > 1:
            self._world.add_up(self._gradients())
        if self._scaler:
            self._scaler.unscale_(self._optimizer)
        norm = None
        if self._clip is not None:
            norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
        if not self.skips:
            self._optimizer.step()
            return None
        if norm is None:
            norm = nn.utils.get_total_norm(self._gradients())
        skipped = (~torch.isfinite(norm)).float()
        if self._scaler:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        else:
            self._step_unless(skipped)
        return skipped

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        scaler = self._scaler.state_dict() if self._scaler else None
        return {"optimizer": self._optimizer.state_dict(), "scaler": scaler}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scaler:
            self._scaler.load_state_dict(state["scaler"])

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def _step_unless(self, skipped: Tensor) -> None:
        """Lets the fused optimiser itself leave a step out, as it does for a scaler: no device is waited for."""
        optimizer: Any = self._optimizer
        optimizer.grad_scale, optimizer.found_inf = None, skipped
        try:
            optimizer.step()
        finally:
            del optimizer.grad_scale, optimizer.found_inf
