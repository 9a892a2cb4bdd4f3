"""Random changes to single pictures: shifts, flips and cut-out squares, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.data.mixing import Mixing
from distill.errors import ConfigError

_UNMIXED = Mixing()


@dataclass(frozen=True)
class Plan:
    """What happens to each picture.

    Attributes:
        shifts: `[pictures, 2]` int64, pixels down and to the right.
        flips: `[pictures]` bool, whether left and right change sides after the shift.
        cuts: `[pictures, 2]` int64, row and column of the middle of the square that is cut out; `None`
            when nothing is.
    """

    shifts: Tensor
    flips: Tensor
    cuts: Tensor | None = None

    def __getitem__(self, part: slice | Tensor) -> Plan:
        return Plan(self.shifts[part], self.flips[part], None if self.cuts is None else self.cuts[part])

    def to(self, device: torch.device | str) -> Plan:
        """The same plan on `device`."""
        cuts = None if self.cuts is None else self.cuts.to(device)
        return Plan(self.shifts.to(device), self.flips.to(device), cuts)


@dataclass(frozen=True)
class Augmentation:
    """All random changes to what a network learns from.

    Each picture is shifted at random, with zeros for what comes in, half of the pictures are flipped, and a
    square is cut out of each. Padding by p pixels followed by a random crop at the original size is a shift
    of at most p pixels, so the shift serves `jitter` and `crop_flip` alike.

    Attributes:
        largest_shift: Pixels per axis, >= 0.
        flip: Whether half of the pictures are mirrored.
        cutout: Side of the square that is cut out, pixels; 0 is off (DeVries, Taylor 2017).
        mixing: What is mixed into the examples, if anything.
        views: How many fixed views each example has, which epochs show in turn; `None` draws anew each epoch.
    """

    largest_shift: int = 0
    flip: bool = False
    cutout: int = 0
    mixing: Mixing = _UNMIXED
    views: int | None = None

    @property
    def deterministic(self) -> bool:
        """Whether every example stays as it is."""
        return not (self.moves or self.cutout or self.mixing)

    @property
    def moves(self) -> bool:
        """Whether pictures are shifted or flipped."""
        return self.largest_shift > 0 or self.flip

    def draw(self, count: int, random: torch.Generator, shape: tuple[int, ...] = ()) -> Plan:
        """Decides what happens to `count` pictures, uniformly.

        Args:
            count: How many.
            random: Decides.
            shape: `(channels, height, width)` of a picture, which cut-out needs to know.
        """
        shifts = torch.randint(-self.largest_shift, self.largest_shift + 1, (count, 2), generator=random)
        flips = torch.rand(count, generator=random) < 0.5
        cuts = None
        if self.cutout:
            cuts = torch.stack([torch.randint(side, (count,), generator=random) for side in shape[1:]], dim=1)
        return Plan(shifts, flips if self.flip else torch.zeros_like(flips), cuts)

    def move(self, pictures: Tensor, plan: Plan) -> Tensor:
        """Shifts and flips.

        Every row of the result is a window of a padded row, or of one that is mirrored; copying whole rows
        is two to four times as fast as gathering pixels.

        Args:
            pictures: `[batch, channels, height, width]` of any type, before normalisation.
            plan: For these pictures, on the same device.

        Returns:
            The changed pictures, of the same shape and type.
        """
        if not self.moves:
            return pictures
        batch, channels, height, width = pictures.shape
        margin, device = self.largest_shift, pictures.device
        rows, columns = height + 2 * margin, width + 2 * margin
        padded = torch.nn.functional.pad(pictures, (margin,) * 4)
        if self.flip:
            padded = torch.cat((padded, padded.flip(3)))
        windows = padded.contiguous().view(-1).unfold(0, width, 1)
        down, right = plan.shifts.unbind(1)
        # Shifting, then mirroring, is mirroring, then shifting the other way.
        left = margin - torch.where(plan.flips, -right, right)
        picture = torch.arange(batch, device=device) + plan.flips * batch
        corner = (picture * channels * rows + margin - down) * columns + left
        row = torch.arange(channels, device=device)[:, None] * rows + torch.arange(height, device=device)
        return windows.index_select(0, (corner[:, None] + row.view(-1) * columns).view(-1)).view_as(pictures)

    def cut(self, inputs: Tensor, plan: Plan) -> Tensor:
        """Cuts the square out of each picture, in place.

        Args:
            inputs: `[batch, channels, height, width]`, normalised, so that zero is the mean of a channel.
            plan: For these pictures, on the same device.

        Returns:
            `inputs`.
        """
        return inputs if plan.cuts is None else cut_out(inputs, plan.cuts, self.cutout)


def cut_out(inputs: Tensor, middles: Tensor, side: int) -> Tensor:
    """Sets a square of each picture to zero, in place; it may hang over the edge.

    Args:
        inputs: `[batch, channels, height, width]`.
        middles: `[batch, 2]` int64, row and column of the middle of each square.
        side: Of the square, pixels.

    Returns:
        `inputs`.
    """
    first = middles - side // 2
    inside = []
    for axis in (0, 1):
        offset = torch.arange(inputs.shape[2 + axis], device=inputs.device) - first[:, axis, None]
        inside.append((offset >= 0) & (offset < side))
    return inputs.masked_fill_((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0)


def augmentation(options: DatasetOptions, input_shape: tuple[int, ...], *, student: bool = False) -> Augmentation:
    """What `dataset.augment`, `cutout`, `mixup`, `cutmix` and `views` ask for.

    Args:
        options: Of the data set.
        input_shape: Of one example.
        student: Whether it is for baseline and student, for whom `transfer_augment` and `transfer_mixup` may say more.

    Raises:
        ConfigError: The inputs are not pictures, or smaller than the square to be cut out.
    """
    moves = options.student_augment if student else options.augment
    own = student and options.transfer_augment is not None
    for key, off in (("transfer_augment" if own else "augment", "none"), ("cutout", 0), ("cutmix", 0.0)):
        value = getattr(options, key)
        if value != off and len(input_shape) != 3:
            raise ConfigError(
                f"dataset.{key}={value} is not allowed: it changes pictures [channels, height, width], "
                f"and an example of {options.name} has the shape {list(input_shape)}; use dataset.{key}={off}."
            )
    if options.cutout and options.cutout > min(input_shape[1:]):
        height, width = input_shape[1:]
        raise ConfigError(
            f"dataset.cutout={options.cutout} is not allowed: pictures of {options.name} have {height}x{width} "
            f"pixels; give at most {min(height, width)}."
        )
    shift, key = {"none": (0, ""), "jitter": (options.jitter, "jitter"), "crop_flip": (options.padding, "padding")}[
        moves
    ]
    if shift and shift >= min(input_shape[1:]):
        height, width = input_shape[1:]
        raise ConfigError(
            f"dataset.{key}={shift} is not allowed: pictures of {options.name} have {height}x{width} pixels, which "
            f"would be shifted out of sight; give at most {min(height, width) - 1}."
        )
    return Augmentation(
        largest_shift=shift,
        flip=moves == "crop_flip",
        cutout=options.cutout,
        mixing=Mixing(options.student_mixup if student else options.mixup, options.cutmix),
        views=options.views,
    )
