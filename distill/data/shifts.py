"""Test data as the world may change them: noise, displacement, blur, in five degrees of severity.

Gaussian noise has the amplitudes of Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261. Displacement and
blur grow with the side of the picture, so that a degree means as much on 28 pixels as on 224.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge, Le
from pydantic import Strict
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from distill.config.options import Natural, Options
from distill.data.augment import Augmentation, Plan
from distill.data.pictures import Pictures
from distill.data.split import Split
from distill.errors import ConfigError
from distill.seeds import generator

ShiftName = Literal["none", "noise", "jitter", "blur"]
SHIFTS: tuple[str, ...] = get_args(ShiftName)

_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of white
_JITTER = 0.05  # of the shorter side, per degree
_BLUR = 0.015  # standard deviation, of the shorter side, per degree
_AT_ONCE = 512

_Change = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class ShiftOptions(Options):
    """Options of a shift.

    Attributes:
        name: `noise` adds Gaussian noise, `jitter` moves each picture by a number of pixels of its own, `blur`
            smooths with a Gaussian.
        severity: Degree, 1..5.
        seed: Of noise and moves; with it, what happens to an example follows from its position alone.
    """

    name: ShiftName = "none"  # pyright: ignore[reportIncompatibleVariableOverride]
    severity: Annotated[int, Strict(), Ge(1), Le(5)] = 3
    seed: Natural = 0


def shifted(split: Split, shift: ShiftOptions, maximum: float) -> Split:
    """The same examples under a shift; pictures on disk stay there until they are asked for.

    Args:
        split: The examples.
        shift: What happens to them.
        maximum: The value of white in uint8 pictures. In other arrays noise is relative to the standard deviation
            of all values.

    Raises:
        ConfigError: The examples are no pictures, and the shift changes nothing else.
    """
    if shift.name == "none":
        return split
    shape = tuple(split.inputs.shape[1:])
    if shift.name in ("jitter", "blur") and len(shape) != 3:
        raise ConfigError(
            f"shift={shift.name} is not allowed: it changes pictures [channels, height, width], and an example of "
            f"this data set has the shape {list(shape)}; give shift=noise."
        )
    if not isinstance(split.inputs, Tensor):
        return Split(ShiftedPictures(split.inputs, _change(shift, maximum)), split.labels)
    change = _change(shift, float(split.inputs.std()) if split.inputs.is_floating_point() else maximum)
    parts = torch.arange(len(split)).split(_AT_ONCE)
    return Split(torch.cat([change(split.inputs[part], part) for part in parts]), split.labels)


class ShiftedPictures(Pictures):
    """Pictures that are shifted when they are read.

    Args:
        pictures: What they are before.
        change: From pictures and their positions among `pictures` to shifted ones.
        rows: Which of them; default: all.
    """

    def __init__(self, pictures: Pictures, change: _Change, rows: Tensor | None = None):
        super().__init__(
            torch.arange(len(pictures)) if rows is None else rows, tuple(pictures.shape[1:]), pictures.workers
        )
        self._pictures = pictures
        self._change = change

    def take(self, positions: Tensor) -> ShiftedPictures:
        """The pictures at `positions`, none of which is read now."""
        return ShiftedPictures(self._pictures, self._change, self._rows[positions])

    def _read(self, rows: Tensor) -> Tensor:
        return self._change(self._pictures[rows], rows)


def _change(shift: ShiftOptions, unit: float) -> _Change:
    def change(inputs: Tensor, positions: Tensor) -> Tensor:
        if shift.name == "noise":
            return _noisy(inputs, positions, shift, unit)
        return _moved(inputs, positions, shift) if shift.name == "jitter" else _blurred(inputs, shift)

    return change


def _noisy(inputs: Tensor, positions: Tensor, shift: ShiftOptions, unit: float) -> Tensor:
    shape = inputs.shape[1:]
    noise = torch.stack([torch.randn(shape, generator=random) for random in _generators(positions, shift)])
    noisy = inputs.cpu().float() + _NOISE[shift.severity - 1] * unit * noise
    if not inputs.is_floating_point():
        noisy = noisy.round().clamp(0, unit)
    return noisy.to(inputs)


def _moved(pictures: Tensor, positions: Tensor, shift: ShiftOptions) -> Tensor:
    farthest = min(math.ceil(_JITTER * shift.severity * min(pictures.shape[2:])), min(pictures.shape[2:]) - 1)
    drawn = [torch.randint(-farthest, farthest + 1, (2,), generator=random) for random in _generators(positions, shift)]
    plan = Plan(torch.stack(drawn), torch.zeros(len(drawn), dtype=torch.bool))
    return Augmentation(largest_shift=farthest).move(pictures, plan.to(pictures.device))


def _blurred(pictures: Tensor, shift: ShiftOptions) -> Tensor:
    side = min(pictures.shape[2:])
    deviation = _BLUR * shift.severity * side
    reach = min(math.ceil(3 * deviation), side - 1)  # what lies outside is a mirror image, of which there is no more
    return gaussian_blur(pictures, [2 * reach + 1, 2 * reach + 1], [deviation, deviation])


def _generators(positions: Tensor, shift: ShiftOptions) -> list[torch.Generator]:
    return [generator(shift.seed, shift.name, position) for position in positions.tolist()]
