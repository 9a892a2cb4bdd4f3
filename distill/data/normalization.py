"""From raw values to what a network learns well from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.data.pictures import Pictures
from distill.errors import ConfigError

_EXAMPLES_AT_ONCE = 4096
_PICTURES_AT_ONCE = 512


@dataclass(frozen=True)
class Normalization:
    """`(inputs - offset) * scale`, per channel (axis 1 of a batch).

    Attributes:
        offset: `[channels]` or `[1]` float32, in raw units.
        scale: Likewise.
    """

    offset: Tensor
    scale: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Normalises `[batch, channels, ...]` of any type to float32."""
        shape = (-1,) + (1,) * (inputs.ndim - 2)
        if inputs.is_floating_point():
            return (inputs.float() - self.offset.view(shape)).mul_(self.scale.view(shape))
        # The new tensor is changed in place; the two roundings are the same on every device.
        return inputs.float().sub_(self.offset.view(shape)).mul_(self.scale.view(shape))

    def to(self, device: torch.device | str) -> Normalization:
        """The same on `device`."""
        return Normalization(self.offset.to(device), self.scale.to(device))


def normalization(
    options: DatasetOptions, inputs: Tensor | Pictures, maximum: float, most: int | None = None
) -> Normalization:
    """What `dataset.normalize` asks for.

    Args:
        options: Of the data set.
        inputs: `[examples, ...]`, those to learn from.
        maximum: The value of white in uint8 pictures; floats are not scaled.
        most: Look at no more than so many, evenly spread; `None` looks at all.

    Raises:
        ConfigError: `mean` or `std` do not fit the inputs.
    """
    unit = 1.0 if inputs.is_floating_point() else maximum
    if options.normalize == "none":
        return _normalization(torch.zeros(1), torch.ones(1), unit)
    if options.normalize == "given":
        mean, std = (_given(options, key, inputs.shape[1]) for key in ("mean", "std"))
        return _normalization(mean, std, unit)
    if most is not None and len(inputs) > most:
        # Evenly: the pictures of a folder lie class by class.
        even = torch.arange(most) * len(inputs) // most
        inputs = inputs[even] if isinstance(inputs, Tensor) else inputs.take(even)
    if isinstance(inputs, Tensor) and inputs.dtype != torch.uint8:
        mean, std = _moments(inputs)
    else:
        mean, std = _histogram_moments(inputs)
    # A constant channel carries nothing; left unscaled, it stays at zero.
    return _normalization(mean / unit, torch.where(std > 0, std / unit, 1.0), unit)


def _normalization(mean: Tensor, std: Tensor, unit: float) -> Normalization:
    return Normalization((mean * unit).float(), (1 / (std * unit)).float())


def _given(options: DatasetOptions, key: str, channels: int) -> Tensor:
    values = getattr(options, key)
    if values is None or len(values) not in (1, channels):
        raise ConfigError(
            f"dataset.{key}={values} is not allowed: dataset.normalize=given needs a list of one number, or "
            f"of one for each of the {channels} channels of {options.name}."
        )
    return torch.tensor(values, dtype=torch.float64)


def _histogram_moments(pictures: Tensor | Pictures) -> tuple[Tensor, Tensor]:
    """Exact mean and standard deviation per channel, `[channels]` float64, in raw units."""
    if isinstance(pictures, Tensor):
        parts = iter(pictures.split(_EXAMPLES_AT_ONCE))
    else:
        parts = pictures.ahead(torch.arange(len(pictures)).split(_PICTURES_AT_ONCE))
    counts = torch.zeros(pictures.shape[1], 256, dtype=torch.int64)
    for part in parts:
        for channel in range(len(counts)):
            counts[channel] += torch.bincount(part[:, channel].flatten(), minlength=256)
    weights = counts / counts.sum(1, keepdim=True).double()
    values = torch.arange(256, dtype=torch.float64)
    mean = (weights * values).sum(1)
    return mean, (weights * (values - mean[:, None]) ** 2).sum(1).sqrt()


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in float64: per channel of pictures, of all values of other arrays."""
    axes = (0, 2, 3) if inputs.ndim == 4 else tuple(range(inputs.ndim))
    values = inputs.numel() / (inputs.shape[1] if inputs.ndim == 4 else 1)
    parts = inputs.split(_EXAMPLES_AT_ONCE)
    mean = torch.stack([part.double().sum(axes, keepdim=True) for part in parts]).sum(0) / values
    squares = torch.stack([((part.double() - mean) ** 2).sum(axes, keepdim=True) for part in parts]).sum(0)
    return mean.flatten(), (squares / values).sqrt().flatten()
