"""What must happen to an input before a network sees it: as a part of the network, and in words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from distill.data.normalization import Normalization

_CHANNELS = {1: "grey", 3: "RGB"}


class Prepared(nn.Module):
    """A network behind its normalisation.

    Args:
        network: Takes normalised inputs.
        normalization: From raw inputs; `None` where they come normalised.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normalization: Normalization | None):
        super().__init__()
        self.network = network
        self.normalizes = normalization is not None
        if normalization is not None:
            self.register_buffer("offset", normalization.offset)
            self.register_buffer("scale", normalization.scale)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, channels, ...]` float32."""
        if self.normalizes:
            shape = (-1,) + (1,) * (inputs.ndim - 2)
            inputs = (inputs - self.offset.view(shape)) * self.scale.view(shape)
        return self.network(inputs)


def stated(
    shape: tuple[int, ...], maximum: float | None, normalization: Normalization, name: str, *, inside: bool
) -> dict[str, Any]:
    """What a caller of the file must know: the input, and what was or is to be done to it.

    Args:
        shape: Of one example.
        maximum: The value of white in raw pictures; `None` for inputs that are no uint8 pictures.
        normalization: From raw inputs to what the network learned from.
        name: Of the input.
        inside: Whether the normalisation is part of the file.
    """
    pictures = len(shape) == 3
    return {
        "input": {
            "name": name,
            "shape": ["batch", *shape],
            "type": "float32",
            "layout": "batch, channels, height, width" if pictures else "batch, " + ", ".join("values" for _ in shape),
            "channels": _CHANNELS.get(shape[0], "as in the data set") if pictures else None,
            "raw_range": None if maximum is None else [0.0, maximum],
            "expects": "raw" if inside else "normalized",
        },
        "normalization": {
            "applied": "inside" if inside else "outside",
            "formula": "(raw - offset) * scale, per channel (axis 1)",
            "offset": normalization.offset.tolist(),
            "scale": normalization.scale.tolist(),
        },
    }


def raw_noise(shape: tuple[int, ...], maximum: float | None, normalization: Normalization, count: int) -> Tensor:
    """Random raw inputs `[count, ...]` float32 over the range of real ones, the same each time."""
    random = torch.Generator().manual_seed(0)
    if maximum is not None:
        return torch.randint(0, int(maximum) + 1, (count, *shape), generator=random).float()
    axes = (-1,) + (1,) * (len(shape) - 1)
    values = torch.randn(count, *shape, generator=random)
    return values / normalization.scale.view(axes) + normalization.offset.view(axes)
