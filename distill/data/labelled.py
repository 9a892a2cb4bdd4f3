"""Examples whose labels are hidden, of which a method may use the inputs alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from distill.config.dataset_options import DatasetOptions
from distill.data.split import HIDDEN, Split
from distill.data.stratify import stratified
from distill.errors import ConfigError
from distill.seeds import generator

if TYPE_CHECKING:
    from distill.data.dataset import Dataset

UNLABELLED = "unlabelled"


def hide(split: Split, truth: torch.Tensor, options: DatasetOptions) -> Split:
    """The same examples, of which only `options.labelled` keep their label, every class in proportion.

    Args:
        split: All training examples.
        truth: `[examples]` their labels before any noise.
        options: Of the data set.

    Raises:
        ConfigError: There are not so many, or some class would keep no label.
    """
    count, labels = options.labelled, split.labels.cpu()
    assert count is not None, "something is hidden"
    if count >= len(labels):
        raise ConfigError(
            f"dataset.labelled={count} is not allowed: there are {len(labels)} training examples, and some must be "
            "left without a label; give less, or null."
        )
    kept = stratified(labels, count, generator(options.seed, "labelled"))
    lost = (torch.bincount(labels) > 0) & (torch.bincount(labels[kept], minlength=int(labels.max()) + 1) == 0)
    if lost.any():
        raise ConfigError(
            f"dataset.labelled={count} is not allowed: it leaves class {int(lost.nonzero()[0])} without a label; give "
            "more."
        )
    shown = torch.full_like(labels, HIDDEN)
    shown[kept] = labels[kept]
    return Split(split.inputs, shown.to(split.labels.device), truth)


def labelled(split: Split) -> Split:
    """The examples whose labels are known."""
    known = split.take((split.labels != HIDDEN).nonzero().flatten())
    return Split(known.inputs, known.labels)


def shown(split: Split, options: DatasetOptions) -> Split:
    """What a student may see of all training examples: labelled ones first, as many as `options.limit_transfer` allows.

    Those without a label are drawn without a look at what it would be.

    Raises:
        ConfigError: No example without a label would remain.
    """
    most = options.limit_transfer
    if most is None or most >= len(split):
        return split
    labels = split.labels.cpu()
    known, hidden = (labels != HIDDEN).nonzero().flatten(), (labels == HIDDEN).nonzero().flatten()
    if most <= len(known):
        raise ConfigError(
            f"dataset.labelled={options.labelled} is not allowed with dataset.limit_transfer={most}, which counts all "
            "that the student sees: no example without a label would remain; give dataset.limit_transfer=null."
        )
    drawn = torch.randperm(len(hidden), generator=generator(options.seed, "unlabelled"))[: most - len(known)]
    return split.take(torch.cat([known, hidden[drawn]]).sort().values.to(split.labels.device))


def unlabelled(data: Dataset, options: DatasetOptions, argument: str) -> Dataset:
    """The data set as a student sees it that learns from examples without a label, too, if there are such."""
    return data if data.pool is None else replace(data, transfer=data.pool)
