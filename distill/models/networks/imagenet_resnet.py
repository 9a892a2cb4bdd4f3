"""ResNets of four stages, as for ImageNet (He et al. 2016, table 1), with a stem for small pictures.

https://arxiv.org/abs/1512.03385. The stem is one 3x3 convolution of stride 1 and no pooling. Architecture,
initialisation and parameter names are those of RepDistiller and mdistiller
(https://github.com/HobbitLong/RepDistiller), so that their published ResNet50 loads as it is; torchvision's own are
`model=torchvision`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

WIDTHS = (64, 128, 256, 512)
# Blocks of each stage.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_SHALLOW = 34  # up to which blocks are of two convolutions


@dataclass(frozen=True, kw_only=True)
class ImagenetResnetOptions(ModelOptions):
    """Options of `imagenet_resnet`.

    Attributes:
        depth: Weighted layers on the longest path; up to 34 with basic blocks, from 50 on with bottlenecks.
    """

    depth: Literal[18, 34, 50, 101, 152] = 50

    def label(self) -> str:
        """The usual name, such as `resnet50`."""
        return f"resnet{self.depth}"


class Residual(nn.Module):
    """Convolutions with batch norm (`conv1`, `bn1`, ...) beside a `shortcut`.

    Args:
        inputs: Channels of the input.
        width: Channels inside.
        stride: Of the block.
        bottleneck: Convolutions of 1x1, 3x3 and 1x1, the last four times as wide, instead of two of 3x3.
    """

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        outputs = expanded(width, bottleneck)
        if bottleneck:
            layers = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        else:
            layers = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        self.depth = len(layers)
        for number, (before, after, kernel, step) in enumerate(layers, start=1):
            convolution = nn.Conv2d(before, after, kernel, stride=step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
        self.relu = nn.ReLU()
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
            if stride != 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, outputs, height / stride, width / stride]`, after the ReLU."""
        inner = inputs
        for number in range(1, self.depth + 1):
            inner = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(inner))
            if number < self.depth:
                inner = self.relu(inner)
        return self.relu(inner + self.shortcut(inputs))


def expanded(width: int, bottleneck: bool) -> int:
    """Channels that come out of a block which has `width` inside."""
    return 4 * width if bottleneck else width


class ImagenetResnet(nn.Module):
    """A stem (`conv1`, `bn1`), stages (`layer1` to `layer4`), global average pooling, a classifier `linear`.

    Args:
        options: Depth.
        channels: Channels of the pictures.
        classes: Width of the logits.
    """

    def __init__(self, options: ImagenetResnetOptions, channels: int, classes: int):
        super().__init__()
        blocks, bottleneck = BLOCKS[options.depth], options.depth > _SHALLOW
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        inputs = [WIDTHS[0], *(expanded(width, bottleneck) for width in WIDTHS)]
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(inputs[number], width, blocks[number], 1 if number == 0 else 2, bottleneck)
            for number, width in enumerate(WIDTHS)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(inputs[-1], classes)
        stages = tuple(f"layer{number}" for number in range(1, 5))
        last = tuple(f"{stage}.{count - 1}.relu" for stage, count in zip(stages, blocks, strict=True))
        self.taps = Taps(stages, "linear", last)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]` of any size."""
        stem = self.relu(self.bn1(self.conv1(inputs)))
        return self.linear(self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(stem))))).flatten(1))


def _stage(inputs: int, width: int, blocks: int, stride: int, bottleneck: bool) -> nn.Sequential:
    first = Residual(inputs, width, stride, bottleneck)
    outputs = expanded(width, bottleneck)
    return nn.Sequential(first, *(Residual(outputs, width, 1, bottleneck) for _ in range(blocks - 1)))


@models.register("imagenet_resnet", ImagenetResnetOptions)
def build(options: ImagenetResnetOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A ResNet of four stages for pictures of any size."""
    channels, _, _ = pictures(options.label(), input_shape)
    return ImagenetResnet(options, channels, classes)
