"""ResNets for CIFAR (He et al. 2016, section 4.2), as the CIFAR-100 distillation benchmark builds them.

Architecture, initialisation and parameter names are those of RepDistiller and mdistiller
(https://github.com/HobbitLong/RepDistiller), so that their published teachers load as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import Count
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

BENCHMARK_WIDTHS: dict[tuple[int, ...], str] = {(16, 16, 32, 64): "", (32, 64, 128, 256): "x4"}


@dataclass(frozen=True, kw_only=True)
class ResnetOptions(ModelOptions):
    """Options of `resnet`.

    Attributes:
        depth: Weighted layers on the longest path, 6n+2 for n blocks in each of the three stages.
        widths: Channels of the stem and of the three stages.
    """

    depth: Count = 20
    widths: list[Count] = field(default_factory=lambda: [16, 16, 32, 64])

    def check(self) -> Iterable[str]:
        """The depth must give whole blocks, and the stem and each stage have one width."""
        if self.depth < 8 or (self.depth - 2) % 6:
            yield f"depth={self.depth} is not allowed: it must be 6n+2, such as 8, 14, 20, 32, 44, 56 or 110."
        if len(self.widths) != 4:
            yield (
                f"widths={self.widths} is not allowed: it must hold 4 numbers, the channels of the stem "
                "and of the three stages, such as [16, 16, 32, 64]."
            )

    def label(self) -> str:
        """The benchmark's name, such as `resnet20` or `resnet8x4`, else the depth with its widths."""
        suffix = BENCHMARK_WIDTHS.get(tuple(self.widths), "".join(f"-{width}" for width in self.widths))
        return f"resnet{self.depth}{suffix}"


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which a 1x1 convolution projects where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
            if stride != 1 or inputs != width
            else nn.Identity()
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, width, height / stride, width / stride]`, after the ReLU."""
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(inputs)))))
        return self.relu(residual + self.downsample(inputs))


class Resnet(nn.Module):
    """A stem (`conv1`, `bn1`), stages (`layer1` to `layer3`), global average pooling, a classifier `fc`.

    Args:
        options: Depth and widths.
        channels: Channels of the pictures.
        classes: Width of the logits.
    """

    def __init__(self, options: ResnetOptions, channels: int, classes: int):
        super().__init__()
        stem, *widths = options.widths
        blocks = (options.depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.layer1 = _stage(stem, widths[0], blocks, stride=1)
        self.layer2 = _stage(widths[0], widths[1], blocks, stride=2)
        self.layer3 = _stage(widths[1], widths[2], blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[2], classes)
        stages = ("layer1", "layer2", "layer3")
        # A block's activations are one module, which is read when it runs last.
        self.taps = Taps(stages, "fc", tuple(f"{stage}.{blocks - 1}.relu" for stage in stages))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]` of any size."""
        stem = self.relu(self.bn1(self.conv1(inputs)))
        return self.fc(self.avgpool(self.layer3(self.layer2(self.layer1(stem)))).flatten(1))


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(blocks - 1)))


@models.register("resnet", ResnetOptions)
def build(options: ResnetOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A CIFAR ResNet for pictures of any size."""
    channels, _, _ = pictures(options.label(), input_shape)
    return Resnet(options, channels, classes)
