"""Multilayer perceptrons of any depth and width."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import BelowOne, Count
from distill.models import models
from distill.models.taps import Taps

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
}


@dataclass(frozen=True, kw_only=True)
class MlpOptions(ModelOptions):
    """Options of `mlp`.

    Attributes:
        widths: Units of each hidden layer, shallow to deep; an empty list is a linear classifier.
        activation: What follows each hidden layer.
        dropout: Share of hidden units dropped while training, after each activation, 0 to <1.
        input_dropout: Share of inputs dropped while training, 0 to <1.
    """

    widths: list[Count] = field(default_factory=lambda: [64])
    activation: Literal["relu", "tanh", "gelu", "sigmoid", "leaky_relu"] = "relu"
    dropout: BelowOne = 0.0
    input_dropout: BelowOne = 0.0

    def label(self) -> str:
        """`mlp` with its widths, such as `mlp-1200-1200`."""
        return "-".join(["mlp", *map(str, self.widths)])


class Mlp(nn.Module):
    """Flattened inputs through hidden layers (`hidden.0`, `hidden.1`, ...) to a linear `classifier`.

    Args:
        options: Widths, activation and dropout.
        inputs: Numbers per example.
        classes: Width of the logits.
    """

    def __init__(self, options: MlpOptions, inputs: int, classes: int):
        super().__init__()
        self.input_dropout = nn.Dropout(options.input_dropout)
        self.hidden = nn.Sequential()
        width = inputs
        for units in options.widths:
            activation = ACTIVATIONS[options.activation]()
            self.hidden.append(nn.Sequential(nn.Linear(width, units), activation, nn.Dropout(options.dropout)))
            width = units
        self.classifier = nn.Linear(width, classes)
        layers = tuple(f"hidden.{layer}" for layer in range(len(options.widths)))
        self.taps = Taps(layers, "classifier", tuple(f"{layer}.1" for layer in layers))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, ...]`."""
        return self.classifier(self.hidden(self.input_dropout(inputs.flatten(1))))


@models.register("mlp", MlpOptions)
def build(options: MlpOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """An MLP for examples of any shape."""
    return Mlp(options, math.prod(input_shape), classes)
