"""What stands in for examples that a method makes itself: as many, of the same shape, that say nothing."""

from __future__ import annotations

from dataclasses import replace

import torch

from distill.config.dataset_options import DatasetOptions
from distill.data.dataset import Dataset
from distill.data.split import Split
from distill.errors import ConfigError

KIND = "generated"


def generated(data: Dataset, options: DatasetOptions, argument: str) -> Dataset:
    """The data set without its training examples, of which only shape, type and number of classes are looked at.

    In their place are black pictures with one white pixel, from which a method learns the range of its inputs; their
    labels count through the classes. The examples to measure on are the same.

    Args:
        data: As it was loaded.
        options: What was asked for.
        argument: How many there are to be.

    Raises:
        ConfigError: The examples are no pictures.
    """
    raw = data.train.inputs
    if len(raw.shape) != 4 or raw.dtype != torch.uint8:
        shape = "x".join(map(str, raw.shape[1:]))
        raise ConfigError(
            f"dataset={data.name} is not allowed with a method that makes its own examples, as these are pictures: it "
            f"has {'arrays' if len(raw.shape) != 4 else 'pictures of real numbers'} {shape}; give a data set of "
            "pictures of whole numbers, such as digits or mnist."
        )
    count = int(argument)
    picture = torch.zeros(1, *raw.shape[1:], dtype=torch.uint8, device=raw.device)
    picture[..., 0, 0] = round(data.maximum)
    blank = Split(picture.expand(count, -1, -1, -1), torch.arange(count, device=raw.device) % data.class_count)
    return replace(data, train=blank, transfer=blank, generated=True)
