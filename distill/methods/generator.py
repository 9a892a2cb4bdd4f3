"""From noise to pictures: the generator of DAFL (Chen et al. 2019), for pictures of any size.

Layers and constants are those of the authors' code, whose batch norms before the activations have an epsilon of 0.8.
The last one, without parameters, gives every channel of a batch the mean 0 and the variance 1 that networks expect.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON, _SLOPE = 0.8, 0.2


class Generator(nn.Module):
    """A linear layer, and three convolutions while the picture doubles twice.

    Args:
        latent: Numbers of noise per picture.
        shape: `(channels, height, width)` of a picture.
        width: Channels in the middle, even.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int = 128):
        super().__init__()
        channels, *size = shape
        self._sizes = [tuple(-(-side // part) for side in size) for part in (4, 2, 1)]
        self._width = width
        height, breadth = self._sizes[0]
        self.linear = nn.Linear(latent, width * height * breadth)
        self.norm = nn.BatchNorm2d(width)
        self.middle = nn.Sequential(*_convolution(width, width))
        self.last = nn.Sequential(
            *_convolution(width, width // 2),
            nn.Conv2d(width // 2, channels, 3, padding=1),
            nn.Tanh(),
            nn.BatchNorm2d(channels, affine=False),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Pictures `[batch, channels, height, width]`, as networks see them.

        Args:
            noise: `[batch, latent]`, standard normal.
        """
        maps = self.norm(self.linear(noise).view(len(noise), self._width, *self._sizes[0]))
        maps = self.middle(F.interpolate(maps, self._sizes[1]))
        return self.last(F.interpolate(maps, self._sizes[2]))


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs, _EPSILON),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )
