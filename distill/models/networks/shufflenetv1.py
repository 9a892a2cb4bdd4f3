"""ShuffleNet for CIFAR (Zhang et al. 2018, "ShuffleNet: An Extremely Efficient Convolutional Neural Network").

https://arxiv.org/abs/1707.01083, table 1, the column of three groups, with a 1x1 stem that keeps the size. Architecture
and parameter names are those of RepDistiller and mdistiller (https://github.com/HobbitLong/RepDistiller).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

STEM, GROUPS = 24, 3
# Channels and number of units of each stage.
STAGES = ((240, 4), (480, 8), (960, 4))


class ShuffleUnit(nn.Module):
    """Grouped 1x1, depthwise 3x3 and grouped 1x1 convolutions, with the channels shuffled after the first.

    The input is added to what they give, or, where the size is halved, pooled and concatenated.
    """

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.halves = stride == 2
        outputs = width - inputs if self.halves else width
        inner = outputs // 4
        # The stem has too few channels to group (section 3.2).
        groups = 1 if inputs == STEM else GROUPS
        self.conv1 = nn.Conv2d(inputs, inner, 1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.shuffle1 = nn.ChannelShuffle(groups)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=inner, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, groups=GROUPS, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if self.halves else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, width, height / stride, width / stride]`, after the ReLU."""
        inner = self.shuffle1(self.relu(self.bn1(self.conv1(inputs))))
        # The code has a ReLU here that the paper leaves out.
        residual = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(inner)))))
        shortcut = self.shortcut(inputs)
        return self.relu(torch.cat([residual, shortcut], dim=1) if self.halves else residual + shortcut)


class ShuffleNetV1(nn.Module):
    """A stem (`conv1`, `bn1`), stages (`layer1` to `layer3`), global average pooling, a classifier `linear`.

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
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(inputs[-1], classes)
        last = tuple(f"layer{number}.{units - 1}.relu" for number, (_, units) in enumerate(STAGES, start=1))
        self.taps = Taps(("layer1", "layer2", "layer3"), "linear", last)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]` of any size."""
        stem = self.relu(self.bn1(self.conv1(inputs)))
        return self.linear(self.avgpool(self.layer3(self.layer2(self.layer1(stem)))).flatten(1))


def _stage(inputs: int, width: int, units: int) -> nn.Sequential:
    return nn.Sequential(ShuffleUnit(inputs, width, 2), *(ShuffleUnit(width, width, 1) for _ in range(units - 1)))


@models.register("shufflenetv1", ModelOptions)
def build(options: ModelOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A ShuffleNet for pictures of any size."""
    channels, _, _ = pictures(options.label(), input_shape)
    return ShuffleNetV1(channels, classes)
