"""What a network can say about the shape of the examples it is given."""

from __future__ import annotations

from distill.errors import ConfigError


def pictures(label: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape of one picture, `(channels, height, width)`.

    Args:
        label: What tables call the network, for the message.
        input_shape: Shape of one example, without the batch.

    Raises:
        ConfigError: The examples are not pictures.
    """
    if len(input_shape) == 1:
        given = f"vectors of {input_shape[0]} numbers"
    elif len(input_shape) == 3 and min(input_shape) >= 1:
        return input_shape[0], input_shape[1], input_shape[2]
    else:
        given = f"examples of shape {'x'.join(map(str, input_shape)) or 'nothing'}"
    raise ConfigError(
        f"The model {label} takes pictures of channels x height x width, and this data set holds {given}; "
        "choose a model that takes any shape, such as mlp."
    )
