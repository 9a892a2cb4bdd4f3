"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from distill.config.schema import Hparams


def build(parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], hparams: Hparams) -> torch.optim.Optimizer:
    """The optimiser that `hparams.optimizer` names, in its fused form.

    Args:
        parameters: Of the network and of the method's adapters, or groups of them as torch has them.
        hparams: Learning rate at its peak, momentum, weight decay.
    """
    common = {"lr": hparams.lr, "weight_decay": hparams.weight_decay, "fused": True}
    match hparams.optimizer:
        case "sgd" | "nesterov":
            nesterov = hparams.optimizer == "nesterov"
            sgd = torch.optim.SGD(parameters, momentum=hparams.momentum, nesterov=nesterov, **common)
            return _from_zero(sgd) if hparams.momentum else sgd
        case "adam":
            return torch.optim.Adam(parameters, **common)
        case "adamw":
            return torch.optim.AdamW(parameters, **common)


def _from_zero(sgd: torch.optim.SGD) -> torch.optim.SGD:
    """Gives SGD its momentum in advance: where its first step is skipped, torch would leave it uninitialised."""
    for parameter in [each for group in sgd.param_groups for each in group["params"]]:
        sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd
