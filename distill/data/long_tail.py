"""A long tail of classes: from class to class exponentially fewer examples."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.data.split import Split
from distill.errors import ConfigError
from distill.seeds import generator

# What is a whole number but for rounding counts as that number: 500 * 100 ** -1 is 5.
_ROUNDING = 1e-9


def sizes(available: Tensor, imbalance: float) -> Tensor:
    """How many examples each class keeps, `n_max * imbalance^(-class / (classes - 1))`, rounded down.

    Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples", https://arxiv.org/abs/1901.05555,
    section 5.1. `n_max` is the largest number for which every class has enough examples, so that the shape is exact.

    Args:
        available: `[classes]` examples that there are of each, two classes or more.
        imbalance: Examples of the first class for each one of the last, >= 1.

    Returns:
        `[classes]` int64.
    """
    shape = imbalance ** -torch.linspace(0, 1, len(available), dtype=torch.float64)
    most = (available / shape).min()
    return (most * shape + _ROUNDING).floor().long()


def long_tail(split: Split, classes: int, imbalance: float, seed: int) -> Split:
    """The examples of a split that a long tail leaves, in their order; the same ones for the same seed.

    Args:
        split: The examples.
        classes: How many classes there are.
        imbalance: Examples of the first class for each one of the last, >= 1.
        seed: Decides which examples of a class stay.

    Raises:
        ConfigError: Nothing would be left of some class.
    """
    labels = split.labels.cpu()
    available = torch.bincount(labels, minlength=classes)
    if not available.all():
        empty = int((available == 0).nonzero()[0])
        raise ConfigError(
            f"dataset.imbalance={imbalance:g} is not allowed: there is no training example of class {empty}, and a "
            "long tail has some of every class; give null."
        )
    kept = sizes(available, imbalance)
    if not kept.all():
        raise ConfigError(
            f"dataset.imbalance={imbalance:g} is not allowed: it would leave class {int((kept == 0).nonzero()[0])} "
            f"without a training example; give at most {_largest(available)}."
        )
    shuffled = torch.randperm(len(labels), generator=generator(seed, "long tail"))
    grouped = shuffled[labels[shuffled].sort(stable=True).indices]
    rank = torch.arange(len(labels)) - (available.cumsum(0) - available)[labels[grouped]]
    return split.take(grouped[rank < kept[labels[grouped]]].sort().values.to(split.labels.device))


def _largest(available: Tensor) -> int:
    """The largest imbalance that leaves the last class an example: none before it may be too small for that."""
    steps = len(available) - 1
    return int(min(count ** (steps / (steps - place)) for place, count in enumerate(available.tolist()[:-1])))
