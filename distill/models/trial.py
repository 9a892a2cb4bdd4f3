"""A first forward pass of a network that nobody here has written: does it take the data and answer with logits?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.errors import ConfigError


def try_out(network: nn.Module, label: str, input_shape: tuple[int, ...], classes: int) -> None:
    """Runs a network on two blank examples in evaluation mode, and leaves it in the modes it was in.

    Args:
        network: On the CPU.
        label: What tables call it, for the message.
        input_shape: Shape of one example.
        classes: Width that the logits should have.

    Raises:
        ConfigError: It cannot take such examples, or what it answers are not logits of them.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            logits = network(torch.zeros(2, *input_shape))
    except Exception as error:  # Whatever a foreign network may raise.
        raise ConfigError(
            f"The model {label} cannot take examples of {_shape(input_shape)} ({first_line(error)}); choose other "
            "data or another model."
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(logits, Tensor):
        raise ConfigError(
            f"The model {label} answers with {type(logits).__name__} instead of one tensor of logits; wrap it so that "
            "it returns the logits alone."
        )
    if tuple(logits.shape) != (2, classes):
        raise ConfigError(
            f"The model {label} answers two examples with numbers of shape {_shape(tuple(logits.shape))}, and this "
            f"data set has {classes} classes: it must be 2x{classes}."
        )


def first_line(error: BaseException) -> str:
    """What an error says, as far as one line holds it, without a full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "nothing"
