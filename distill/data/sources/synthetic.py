"""Gaussian inputs of any size, with labels to memorise or labels to learn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from pydantic import Strict
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.config.options import Count
from distill.data.source import Source
from distill.data.sources import datasets
from distill.seeds import generator

_PROBES = 10_000


@dataclass(frozen=True, kw_only=True)
class SyntheticOptions(DatasetOptions):
    """How much of what.

    Attributes:
        features: Length of an input vector.
        shape: Shape of an input instead, such as `[1, 8, 8]`; `None` makes vectors.
        n_classes: How many classes, at least 2.
        n_train: Training examples.
        n_test: Test examples.
        labels: `network` takes the most likely class of a fixed random network of one hidden tanh layer,
            so that there is something to learn; `random` draws them, so that one can only memorise.
        hidden: Width of that network.
    """

    name: str = "synthetic"
    features: Count = 50
    shape: list[Count] | None = None
    n_classes: Annotated[int, Strict(), Ge(2)] = 5
    n_train: Count = 1000
    n_test: Count = 500
    labels: Literal["network", "random"] = "network"
    hidden: Count = 100

    def check(self) -> Iterable[str]:
        """Adds `shape` to what is checked for every data set."""
        yield from super().check()
        if self.shape == []:
            yield "shape=[] is not allowed: give at least one number, or null to use `features`."


@datasets.register("synthetic", SyntheticOptions)
def load(options: SyntheticOptions) -> Source:
    """Draws inputs and labels; the same options always give the same."""
    shape = options.shape or [options.features]
    width = math.prod(shape)
    label = _RandomNetwork(options, width)

    def draw(part: str, count: int) -> tuple[Tensor, Tensor]:
        inputs = torch.randn(count, width, generator=generator(options.seed, "synthetic", part))
        if options.labels == "network":
            labels = label(inputs)
        else:
            random = generator(options.seed, "synthetic", part, "labels")
            labels = torch.randint(options.n_classes, (count,), generator=random)
        return inputs.view(count, *shape), labels

    train_inputs, train_labels = draw("train", options.n_train)
    test_inputs, test_labels = draw("test", options.n_test)
    classes = tuple(str(number) for number in range(options.n_classes))
    return Source(train_inputs, train_labels, test_inputs, test_labels, classes)


class _RandomNetwork:
    """The labels of a random network, balanced by giving its logits mean 0 and variance 1 on other inputs."""

    def __init__(self, options: SyntheticOptions, width: int):
        random = generator(options.seed, "synthetic", "network")

        def normal(*size: int) -> Tensor:
            return torch.randn(*size, generator=random, dtype=torch.float64)

        self.hidden = normal(width, options.hidden) * 2 / math.sqrt(width)
        self.bias = normal(options.hidden)
        self.output = normal(options.hidden, options.n_classes)
        logits = self.logits(normal(_PROBES, width))
        self.mean, self.std = logits.mean(0), logits.std(0)

    def logits(self, inputs: Tensor) -> Tensor:
        return torch.tanh(inputs.double() @ self.hidden + self.bias) @ self.output

    def __call__(self, inputs: Tensor) -> Tensor:
        return ((self.logits(inputs) - self.mean) / self.std).argmax(1)
