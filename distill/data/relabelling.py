"""The same pictures with other labels: groups of classes as classes, for a network of another task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import torch

from distill.config.dataset_options import DatasetOptions
from distill.data.dataset import Dataset
from distill.data.split import Split
from distill.errors import ConfigError


def relabelled(data: Dataset, options: DatasetOptions, groups: str) -> Dataset:
    """The data set with groups of its classes as classes; examples of classes in no group are left out.

    Args:
        data: The whole.
        options: What was asked for.
        groups: JSON, for each new class the numbers of the old ones: `[[0, 2, 4], [1, 3, 5]]`; or `even,odd`.

    Raises:
        ConfigError: A group has a class that is not there, or no training or test examples.
    """
    known = len(data.classes)
    halves = [list(range(first, known, 2)) for first in (0, 1)]
    parsed: list[list[int]] = halves if groups == "even,odd" else json.loads(groups)
    for group in parsed:
        if any(number >= known for number in group):
            raise ConfigError(
                f"{group} is not allowed as a group of classes: {data.name} has the numbers 0..{known - 1}."
            )
    turned = torch.full((known,), -1)
    for number, group in enumerate(parsed):
        turned[torch.tensor(group)] = number

    def kept(split: Split) -> Split:
        labels = turned[split.labels.cpu()]
        positions = (labels >= 0).nonzero().flatten()
        return Split(split.take(positions).inputs, labels[positions])

    splits = {"train": kept(data.train), "transfer": kept(data.transfer), "test": kept(data.test)}
    for name, split in splits.items():
        if len(split.labels.unique()) < len(parsed):
            raise ConfigError(
                f"{parsed} is not allowed as groups of classes: one has no {name} examples of {data.name}."
            )
    return replace(
        data,
        **splits,
        name=f"{data.name} {','.join(_named(data.classes, group) for group in parsed)}",
        val=None if data.val is None else kept(data.val),
        classes=tuple(_named(data.classes, group) for group in parsed),
    )


def _named(classes: Sequence[str], group: Sequence[int]) -> str:
    return "+".join(classes[number] for number in group)
