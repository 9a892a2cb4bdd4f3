"""ShuffleNet V2 for CIFAR (Ma et al. 2018), of the paper's width 1.

https://arxiv.org/abs/1807.11164, table 5, with a 1x1 stem that keeps the size. Architecture and parameter names are
those of RepDistiller and mdistiller (https://github.com/HobbitLong/RepDistiller), whose pre-activations are these with
their channels not yet shuffled.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

STEM, LAST = 24, 1024
# Channels and number of units of each stage.
STAGES = ((116, 4), (232, 8), (464, 4))


class BasicUnit(nn.Module):
    """Half of the channels pass through three convolutions, the other half by; then all are shuffled."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(half, half, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.shuffle = nn.ChannelShuffle(2)
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, width, height, width]`, after the ReLU."""
        passed, changed = inputs.chunk(2, dim=1)
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(changed)))))
        # What passes by is activated already, so that one ReLU over all changes nothing, and its input can be read.
        return self.relu(self.shuffle(torch.cat([passed, self.bn3(self.conv3(inner))], dim=1)))


class DownUnit(nn.Module):
    """Two branches that halve the size, side by side; then their channels are shuffled."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = nn.Conv2d(inputs, half, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(inputs, half, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = nn.Conv2d(half, half, 3, stride=2, padding=1, groups=half, bias=False)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = nn.Conv2d(half, half, 1, bias=False)
        self.bn5 = nn.BatchNorm2d(half)
        self.shuffle = nn.ChannelShuffle(2)
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, width, height / 2, width / 2]`, after the ReLU."""
        left = self.bn2(self.conv2(self.bn1(self.conv1(inputs))))
        right = self.bn4(self.conv4(self.relu(self.bn3(self.conv3(inputs)))))
        return self.relu(self.shuffle(torch.cat([left, self.bn5(self.conv5(right))], dim=1)))


class ShuffleNetV2(nn.Module):
    """A stem (`conv1`, `bn1`), stages (`layer1` to `layer3`), a 1x1 convolution `conv2`, pooling, `linear`.

    Args:
        channels: Channels of the pictures.
        classes: Width of the logits.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, STEM, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu = nn.ReLU()
        inputs = [STEM, *(width for width, _ in STAGES)]
        self.layer1, self.layer2, self.layer3 = (
            _stage(before, width, units) for before, (width, units) in zip(inputs, STAGES, strict=False)
        )
        self.conv2 = nn.Conv2d(inputs[-1], LAST, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(LAST)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(LAST, classes)
        last = tuple(f"layer{number}.{units - 1}.relu" for number, (_, units) in enumerate(STAGES, start=1))
        self.taps = Taps(("layer1", "layer2", "layer3"), "linear", last)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]` of any size."""
        stem = self.relu(self.bn1(self.conv1(inputs)))
        feature = self.layer3(self.layer2(self.layer1(stem)))
        return self.linear(self.avgpool(self.relu(self.bn2(self.conv2(feature)))).flatten(1))


def _stage(inputs: int, width: int, units: int) -> nn.Sequential:
    return nn.Sequential(DownUnit(inputs, width), *(BasicUnit(width) for _ in range(units - 1)))


@models.register("shufflenetv2", ModelOptions)
def build(options: ModelOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A ShuffleNet V2 for pictures of any size."""
    channels, _, _ = pictures(options.label(), input_shape)
    return ShuffleNetV2(channels, classes)
