"""Wide residual networks for CIFAR (Zagoruyko, Komodakis 2016, "Wide Residual Networks").

https://arxiv.org/abs/1605.07146. Architecture, initialisation and parameter names are those of RepDistiller and
mdistiller (https://github.com/HobbitLong/RepDistiller), so that their published teachers load as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import BelowOne, Count
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps


@dataclass(frozen=True, kw_only=True)
class WrnOptions(ModelOptions):
    """Options of `wrn`.

    Attributes:
        depth: Weighted layers on the longest path, 6n+4 for n blocks in each of the three stages.
        widen: How many times 16, 32 and 64 channels the three stages have.
        dropout: Share of a block's inner feature map dropped while training, 0 to <1.
    """

    depth: Count = 16
    widen: Count = 2
    dropout: BelowOne = 0.0

    def check(self) -> Iterable[str]:
        """The depth must give whole blocks."""
        if self.depth < 10 or (self.depth - 4) % 6:
            yield f"depth={self.depth} is not allowed: it must be 6n+4, such as 10, 16, 28 or 40."

    def label(self) -> str:
        """The benchmark's name, such as `wrn_40_2`."""
        return f"wrn_{self.depth}_{self.widen}"


class PreactivatedBlock(nn.Module):
    """Batch norm, ReLU and a 3x3 convolution, twice, beside a shortcut; what comes out is not activated.

    Where the number of channels changes the shortcut is a 1x1 convolution of the activated input.
    """

    def __init__(self, inputs: int, width: int, stride: int, dropout: float):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.convShortcut = nn.Conv2d(inputs, width, 1, stride=stride, bias=False) if inputs != width else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, width, height / stride, width / stride]`."""
        active = self.relu1(self.bn1(inputs))
        shortcut = inputs if self.convShortcut is None else self.convShortcut(active)
        inner = self.relu2(self.bn2(self.conv1(active)))
        return shortcut + self.conv2(self.dropout(inner))


class WideResnet(nn.Module):
    """A convolution, stages (`block1` to `block3`), batch norm and ReLU, global average pooling, a classifier `fc`.

    Args:
        options: Depth, width and dropout.
        channels: Channels of the pictures.
        classes: Width of the logits.
    """

    def __init__(self, options: WrnOptions, channels: int, classes: int):
        super().__init__()
        widths = [16, *(base * options.widen for base in (16, 32, 64))]
        blocks = (options.depth - 4) // 6
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.block1 = _stage(widths[0], widths[1], blocks, 1, options.dropout)
        self.block2 = _stage(widths[1], widths[2], blocks, 2, options.dropout)
        self.block3 = _stage(widths[2], widths[3], blocks, 2, options.dropout)
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[3], classes)
        # A stage is activated where the next one begins.
        activations = ("block2.layer.0.relu1", "block3.layer.0.relu1", "relu")
        self.taps = Taps(("block1", "block2", "block3"), "fc", activations)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]` of any size."""
        feature = self.block3(self.block2(self.block1(self.conv1(inputs))))
        return self.fc(self.avgpool(self.relu(self.bn1(feature))).flatten(1))


def _stage(inputs: int, width: int, blocks: int, stride: int, dropout: float) -> nn.Sequential:
    first = PreactivatedBlock(inputs, width, stride, dropout)
    others = (PreactivatedBlock(width, width, 1, dropout) for _ in range(blocks - 1))
    return nn.Sequential(OrderedDict(layer=nn.Sequential(first, *others)))


@models.register("wrn", WrnOptions)
def build(options: WrnOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A wide ResNet for pictures of any size."""
    channels, _, _ = pictures(options.label(), input_shape)
    return WideResnet(options, channels, classes)
