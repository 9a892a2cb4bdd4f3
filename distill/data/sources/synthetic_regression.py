"""Friedman's first regression problem: five inputs that matter, others that do not, and noise.

Friedman 1991, "Multivariate Adaptive Regression Splines", section 4.3, equation 61:
`y = 10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5 + noise`, inputs uniform in 0..1, ten of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from pydantic import Strict
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.config.options import Count, NonNegative
from distill.data.source import Source
from distill.data.sources import datasets
from distill.seeds import generator


@dataclass(frozen=True, kw_only=True)
class SyntheticRegressionOptions(DatasetOptions):
    """How much of what.

    Attributes:
        features: Numbers per input, of which the first five matter.
        n_train: Training examples.
        n_test: Test examples.
        noise: Standard deviation of the normal noise on the training targets; 1 in the paper. Test targets are exact,
            so that what is measured is how well the function itself was found.
    """

    name: str = "synthetic_regression"
    features: Annotated[int, Strict(), Ge(5)] = 10
    n_train: Count = 5000
    n_test: Count = 2000
    noise: NonNegative = 1.0

    @property
    def regression(self) -> bool:
        """It is."""
        return True


def friedman(inputs: Tensor) -> Tensor:
    """The function without noise, `[examples]` for inputs `[examples, features]` in 0..1."""
    one, two, three, four, five = inputs[:, :5].unbind(1)
    return 10 * torch.sin(math.pi * one * two) + 20 * (three - 0.5).square() + 10 * four + 5 * five


@datasets.register("synthetic_regression", SyntheticRegressionOptions)
def load(options: SyntheticRegressionOptions) -> Source:
    """Draws inputs and noise; the same options always give the same."""

    def draw(part: str, count: int, noise: float) -> tuple[Tensor, Tensor]:
        random = generator(options.seed, "synthetic regression", part)
        inputs = torch.rand(count, options.features, generator=random, dtype=torch.float64)
        targets = friedman(inputs) + noise * torch.randn(count, generator=random, dtype=torch.float64)
        return inputs.float(), targets[:, None]

    train, test = draw("train", options.n_train, options.noise), draw("test", options.n_test, 0.0)
    return Source(*train, *test, classes=(), targets=("y",))
