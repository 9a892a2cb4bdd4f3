"""Random changes to pictures: shifts and flips, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.errors import ConfigError


@dataclass(frozen=True)
class Plan:
    """What happens to each picture.

    Attributes:
        shifts: `[pictures, 2]` int64, pixels down and to the right.
        flips: `[pictures]` bool, whether left and right change sides after the shift.
    """

    shifts: Tensor
    flips: Tensor

    def __getitem__(self, part: slice) -> Plan:
        return Plan(self.shifts[part], self.flips[part])

    def to(self, device: torch.device | str) -> Plan:
        """The same plan on `device`."""
        return Plan(self.shifts.to(device), self.flips.to(device))


@dataclass(frozen=True)
class Augmentation:
    """Shifts each picture at random, fills with zeros what comes in, and flips half of the pictures.

    Padding by p pixels followed by a random crop at the original size is a shift of at most p pixels, so
    this one class serves `jitter` and `crop_flip` alike.

    Attributes:
        largest_shift: Pixels per axis, >= 0.
        flip: Whether half of the pictures are mirrored.
    """

    largest_shift: int = 0
    flip: bool = False

    @property
    def deterministic(self) -> bool:
        """Whether every picture stays as it is."""
        return self.largest_shift == 0 and not self.flip

    def draw(self, count: int, random: torch.Generator) -> Plan:
        """Decides what happens to `count` pictures, uniformly."""
        shifts = torch.randint(-self.largest_shift, self.largest_shift + 1, (count, 2), generator=random)
        flips = torch.rand(count, generator=random) < 0.5
        return Plan(shifts, flips if self.flip else torch.zeros_like(flips))

    def apply(self, pictures: Tensor, plan: Plan) -> Tensor:
        """Carries out a plan.

        Args:
            pictures: `[batch, channels, height, width]` of any type, before normalisation.
            plan: For these pictures, on the same device.

        Returns:
            The changed pictures, of the same shape and type.
        """
        if self.deterministic:
            return pictures
        batch, channels, height, width = pictures.shape
        margin = self.largest_shift
        padded = torch.nn.functional.pad(pictures, (margin,) * 4)
        rows = torch.arange(height, device=pictures.device) - plan.shifts[:, :1] + margin
        columns = torch.arange(width, device=pictures.device).expand(batch, width)
        columns = torch.where(plan.flips[:, None], width - 1 - columns, columns) - plan.shifts[:, 1:] + margin
        rows = rows[:, None, :, None].expand(batch, channels, height, width + 2 * margin)
        columns = columns[:, None, None, :].expand(batch, channels, height, width)
        return padded.gather(2, rows).gather(3, columns)


def augmentation(options: DatasetOptions, input_shape: tuple[int, ...]) -> Augmentation:
    """What `dataset.augment` asks for.

    Args:
        options: Of the data set.
        input_shape: Of one example.

    Raises:
        ConfigError: The inputs are not pictures.
    """
    if options.augment == "none":
        return Augmentation()
    if len(input_shape) != 3:
        raise ConfigError(
            f"dataset.augment={options.augment} is not allowed: it moves pictures [channels, height, width], "
            f"and an example of {options.name} has the shape {list(input_shape)}; use dataset.augment=none."
        )
    if options.augment == "jitter":
        return Augmentation(options.jitter)
    return Augmentation(options.padding, flip=True)
