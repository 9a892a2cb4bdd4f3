"""Variants of a data set, by name: what some networks of a run see of it, while others see the whole."""

from __future__ import annotations

from collections.abc import Callable

from distill.config.dataset_options import DatasetOptions
from distill.data import generated
from distill.data.dataset import Dataset
from distill.data.labelled import UNLABELLED, unlabelled
from distill.data.relabelling import relabelled
from distill.data.tasks import so_far
from distill.data.views import seen_by_student

Make = Callable[[Dataset, DatasetOptions, str], Dataset]

# What stands before the first colon of a name, and what makes the variant of the data set and of what stands behind.
VARIANTS: dict[str, Make] = {
    generated.KIND: generated.generated,
    "view": seen_by_student,
    "labels": relabelled,
    "tasks": so_far,
    UNLABELLED: unlabelled,
}


def variant(data: Dataset, options: DatasetOptions, name: str) -> Dataset:
    """A data set as some of the networks see it.

    Args:
        data: As it was loaded.
        options: What was asked for.
        name: `kind` or `kind:argument`.

    Raises:
        ConfigError: The data set has no such variant.
    """
    kind, _, argument = name.partition(":")
    return VARIANTS[kind](data, options, argument)
