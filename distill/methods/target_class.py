"""The class of the label, apart from all others: what methods share that treat the two differently."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.errors import ConfigError


def own(logits: Tensor, labels: Tensor) -> Tensor:
    """`[batch, 1]`: what stands at the class of the label.

    Args:
        logits: `[batch, classes]`.
        labels: `[batch]` int64.
    """
    return logits.gather(1, labels[:, None])


def others(logits: Tensor, labels: Tensor) -> Tensor:
    """`[batch, classes - 1]`: what stands at all other classes, in their order.

    Args:
        logits: `[batch, classes]`.
        labels: `[batch]` int64.
    """
    places = torch.arange(logits.shape[1] - 1, device=logits.device)
    return logits.gather(1, places + (places >= labels[:, None]))


def check_three_classes(logits: Tensor, method: str) -> None:
    """Refuses two classes, of which only one is left beside that of the label.

    Args:
        logits: `[batch, classes]`.
        method: Which method needs more, for the message.

    Raises:
        ConfigError: There are fewer than three.
    """
    if logits.shape[1] < 3:
        raise ConfigError(
            f"method={method} compares the classes beside that of the label, of which {logits.shape[1]} classes leave "
            "only one: take a data set with more classes, or method=hinton."
        )
