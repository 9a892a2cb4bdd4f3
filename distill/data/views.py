"""What a student sees in place of the whole input: a coarse, grey, cut or drawn form of it, or its other modality."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.data.dataset import Dataset
from distill.data.normalization import Normalization, normalization
from distill.data.split import Split
from distill.errors import ConfigError

# Luma of red, green and blue, ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_FORMS = "downsampleN, cropN, gray, edges or channelsN"

Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class View:
    """What a network is shown of each example while it learns, and what its teacher is shown beside it.

    Attributes:
        look: From raw inputs `[batch, channels, height, width]` to those of the network, of the same type.
        shape: Of one example, as the network sees it.
        whole: From raw inputs to those of the teacher.
    """

    look: Look
    shape: tuple[int, ...]
    whole: Normalization


def seen_by_student(data: Dataset, options: DatasetOptions, name: str) -> Dataset:
    """The data set through a view: test and validation examples hold nothing else any more.

    Training examples stay whole, because their teacher sees all of them; a network that learns from them is shown
    `Dataset.view` of each batch, after the same shifts and flips.

    Args:
        data: The whole.
        options: What was asked for.
        name: Of the view.

    Raises:
        ConfigError: There is no such view of these data.
    """
    inputs = data.train.inputs
    if not isinstance(inputs, Tensor) or inputs.ndim != 4:
        raise ConfigError(
            f"dataset.student_view={name} is not allowed with dataset={data.name}: a view is one of pictures in memory."
        )
    look = _look(name, tuple(inputs.shape[1:]), data.maximum)
    shown = torch.cat([look(part) for part in data.transfer.tensor.split(1024)])
    view = View(look, tuple(shown.shape[1:]), data.normalization)
    plain = options if options.normalize != "given" else replace(options, normalize="data", mean=None, std=None)
    return replace(
        data,
        test=_through(data.test, look),
        val=None if data.val is None else _through(data.val, look),
        normalization=normalization(plain, shown, data.maximum),
        view=view,
    )


def _through(split: Split, look: Look) -> Split:
    return Split(torch.cat([look(part) for part in split.tensor.split(1024)]), split.labels)


def _look(name: str, shape: tuple[int, ...], maximum: float) -> Look:
    match = re.fullmatch(r"([a-z]+?)(\d*)", name)
    kind, number = (match[1], int(match[2] or 0)) if match else (name, 0)
    channels, sides = shape[0], shape[1:]
    if kind == "downsample" and number and all(side % number == 0 and number < side for side in sides):
        return lambda raw: _same_type(F.avg_pool2d(raw.float(), [side // number for side in sides]), raw)
    if kind == "crop" and 0 < number < min(sides):
        top, left = ((side - number) // 2 for side in sides)
        return lambda raw: raw[..., top : top + number, left : left + number]
    if kind == "gray" and not number and channels == 3:
        return lambda raw: _same_type(
            (raw.float() * raw.new_tensor(_LUMA, dtype=torch.float32).view(3, 1, 1)).sum(1, keepdim=True), raw
        )
    if kind == "edges" and not number:
        return lambda raw: _same_type(_edges(raw.float()).clamp(max=maximum), raw)
    if kind == "channels" and 0 < number < channels:
        return lambda raw: raw[:, channels - number :]
    raise ConfigError(
        f"dataset.student_view={name} is not allowed: it must be {_FORMS}, where downsample7 makes pictures of 7x7 out "
        f"of sides that 7 divides, crop14 takes the middle 14x14, gray needs three channels and channels1 takes the "
        f"last channel; the pictures are {'x'.join(map(str, shape))}."
    )


def _edges(pictures: Tensor) -> Tensor:
    """`[batch, 1, height, width]` strength of the gradient of the mean channel, with edges of the picture repeated."""
    across = pictures.new_tensor(_SOBEL) / 4
    kernels = torch.stack([across, across.T])[:, None]
    padded = F.pad(pictures.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    return torch.linalg.vector_norm(F.conv2d(padded, kernels), dim=1, keepdim=True)


def _same_type(values: Tensor, raw: Tensor) -> Tensor:
    return values.to(raw.dtype) if raw.is_floating_point() else values.round().to(raw.dtype)
