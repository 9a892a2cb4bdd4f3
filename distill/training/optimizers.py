"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from distill.config.schema import Hparams


def build(parameters: Iterable[nn.Parameter], hparams: Hparams) -> torch.optim.Optimizer:
    """The optimiser that `hparams.optimizer` names, in its fused form.

    Args:
        parameters: Of the network and of the method's adapters.
        hparams: Learning rate at its peak, momentum, weight decay.
    """
    common = {"lr": hparams.lr, "weight_decay": hparams.weight_decay, "fused": True}
    match hparams.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=hparams.momentum, **common)
        case "nesterov":
            return torch.optim.SGD(parameters, momentum=hparams.momentum, nesterov=True, **common)
        case "adam":
            return torch.optim.Adam(parameters, **common)
        case "adamw":
            return torch.optim.AdamW(parameters, **common)
