"""Strong augmentation: a second, much harder view of each picture, for methods that compare answers to both.

In the spirit of RandAugment (Cubuk et al. 2020, https://arxiv.org/abs/1909.13719), with every change applied to every
picture, each by an amount of its own, so that a whole batch is a few tensor operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.data.augment import cut_out
from distill.data.normalization import Normalization
from distill.errors import ConfigError

# Each amount is uniform in plus or minus this.
_TURN = math.radians(30)
_SHEAR = 0.2  # columns per row, and rows per column
_MOVE = 0.125  # of a side
_BRIGHTNESS = _CONTRAST = 0.4  # of a factor around 1
_CUT = 0.5  # of the shorter side


@dataclass(frozen=True)
class StrongPlan:
    """What happens to each picture.

    Attributes:
        places: `[pictures, 2, 3]` float32, the affine map from a place in the result to one in the picture; both
            sides of a picture go from -1 to 1.
        brightness: `[pictures]` float32, factor of all values.
        contrast: `[pictures]` float32, factor of their distance from the mean of the picture.
        cuts: `[pictures, 2]` int64, row and column of the middle of the square that is cut out.
    """

    places: Tensor
    brightness: Tensor
    contrast: Tensor
    cuts: Tensor

    def __getitem__(self, part: slice) -> StrongPlan:
        return StrongPlan(self.places[part], self.brightness[part], self.contrast[part], self.cuts[part])

    def to(self, device: torch.device | str) -> StrongPlan:
        """The same plan on `device`."""
        return StrongPlan(*(part.to(device) for part in (self.places, self.brightness, self.contrast, self.cuts)))


def check_pictures(shape: tuple[int, ...]) -> None:
    """Refuses examples that cannot be turned.

    Args:
        shape: Of one example.

    Raises:
        ConfigError: They are no pictures.
    """
    if len(shape) != 3:
        raise ConfigError(
            "A method that compares weak and strong augmentation needs pictures [channels, height, width], and an "
            f"example of this data set has the shape {list(shape)}; choose another method or data set."
        )


def draw(count: int, shape: tuple[int, ...], random: torch.Generator) -> StrongPlan:
    """Decides what happens to `count` pictures, uniformly: turned by at most 30 degrees, sheared by at most 0.2 along
    both axes, moved by at most an eighth of a side, 0.6 to 1.4 times as bright and as rich in contrast, and without a
    square of half the shorter side.

    Args:
        count: How many.
        shape: `(channels, height, width)` of a picture.
        random: Decides.
    """
    height, width = shape[1:]
    turn, along, across, down, right, brightness, contrast = (2 * torch.rand(7, count, generator=random) - 1).unbind()
    sine, cosine = (_TURN * turn).sin(), (_TURN * turn).cos()
    along, across = _SHEAR * along, _SHEAR * across
    # Rotation times shear, in pixels; in units of the sides, a picture that is not square needs their ratio.
    ratio = height / width
    rows = (
        (cosine - sine * across, (cosine * along - sine) * ratio, 2 * _MOVE * right),
        ((sine + cosine * across) / ratio, sine * along + cosine, 2 * _MOVE * down),
    )
    return StrongPlan(
        places=torch.stack([torch.stack(row, dim=1) for row in rows], dim=1),
        brightness=1 + _BRIGHTNESS * brightness,
        contrast=1 + _CONTRAST * contrast,
        cuts=torch.stack([torch.randint(side, (count,), generator=random) for side in (height, width)], dim=1),
    )


def strongly(pictures: Tensor, plan: StrongPlan, normalization: Normalization) -> Tensor:
    """The strongly augmented form of pictures, as a network's input.

    Values are not clipped. What comes in from outside is zero before normalisation, and what is cut out is the mean
    of its channel, as for the usual augmentation.

    Args:
        pictures: `[batch, channels, height, width]` of any type, before normalisation.
        plan: For these pictures, on the same device.
        normalization: On the same device.

    Returns:
        The changed pictures, `[batch, channels, height, width]` float32, normalised.
    """
    grid = F.affine_grid(plan.places, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures.float(), grid, align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    brightness, contrast = (factor.reshape(-1, 1, 1, 1) for factor in (plan.brightness, plan.contrast))
    inputs = normalization(((moved - mean) * contrast + mean) * brightness)
    return cut_out(inputs, plan.cuts, int(_CUT * min(pictures.shape[2:])))
