"""Networks, the taps that read features out of any network, and the files their weights are kept in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from distill.config.model_options import ModelOptions
from distill.config.registry import Registry

if TYPE_CHECKING:
    from torch import nn

models: Registry[Callable[..., nn.Module]] = Registry("model", "distill.models.networks")


def create(options: ModelOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Builds the network that the options describe, with fresh weights drawn from torch's global generator.

    Args:
        options: Options of a registered network; `options.name` says which.
        input_shape: Shape of one example: `(channels, height, width)` for pictures, `(width,)` for vectors.
        classes: Number of classes, the width of the logits.

    Raises:
        ConfigError: The name is unknown, or the network cannot take inputs of that shape.
        CheckpointError: Published weights were asked for and cannot be downloaded.
    """
    return models.find(options.name).factory(options, input_shape, classes)
