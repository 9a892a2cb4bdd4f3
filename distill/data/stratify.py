"""Subsets in which every class keeps its share; of a regression, plain random ones."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.data.split import Split
from distill.seeds import generator


def shares(labels: Tensor, count: int) -> Tensor:
    """How many examples of each class a subset of `count` holds, by the method of the largest remainder.

    Args:
        labels: `[examples]` int64.
        count: Size of the subset, at most the number of examples.

    Returns:
        `[classes]` int64, summing to `count`; of equal remainders the lower class number goes first.
    """
    available = torch.bincount(labels)
    # In whole numbers, so that no rounding decides between remainders that are equal.
    whole = available * count // len(labels)
    remainders = available * count % len(labels)
    missing = count - int(whole.sum())
    whole[torch.sort(remainders, descending=True, stable=True).indices[:missing]] += 1
    return whole


def stratified(labels: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Draws `count` positions so that every class keeps its share.

    Args:
        labels: `[examples]` int64, on the CPU; `[examples, targets]` of a regression, which has no classes.
        count: How many, at most the number of examples.
        random: Decides which examples of each class.

    Returns:
        `[count]` int64, ascending.
    """
    if labels.is_floating_point():
        labels = torch.zeros(len(labels), dtype=torch.int64)
    shuffled = torch.randperm(len(labels), generator=random)
    grouped = shuffled[torch.sort(labels[shuffled], stable=True).indices]
    available = torch.bincount(labels)
    first = available.cumsum(0) - available
    rank = torch.arange(len(labels)) - first[labels[grouped]]
    return grouped[rank < shares(labels, count)[labels[grouped]]].sort().values


def divide(labels: Tensor, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions of the examples that stay, and of the `count` that are set apart, both ascending."""
    apart = stratified(labels, count, random)
    stays = torch.ones(len(labels), dtype=torch.bool)
    stays[apart] = False
    return stays.nonzero().flatten(), apart


def limit(split: Split, count: int, seed: int) -> Split:
    """At most `count` examples of a split, every class in proportion; the same ones for the same seed."""
    if count >= len(split):
        return split
    labels = split.labels.cpu()
    if not labels.is_floating_point():
        labels = labels - labels.min().clamp(max=0)  # those without one are a class of their own
    return split.take(stratified(labels, count, generator(seed, "limit")).to(split.labels.device))
