"""MobileNetV2 for CIFAR (Sandler et al. 2018), by default of half the width.

https://arxiv.org/abs/1801.04381, table 2, with two strides of 2 less than for 224 pixels. Architecture, initialisation
and parameter names are those of RepDistiller and mdistiller (https://github.com/HobbitLong/RepDistiller), which use
ReLU where the paper uses ReLU6, and an expanding convolution in the first block, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import Count, Positive
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

STEM, LAST = 32, 1280
# Channels, number of blocks and first stride of each stage.
STAGES = ((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


@dataclass(frozen=True, kw_only=True)
class MobileNetV2Options(ModelOptions):
    """Options of `mobilenetv2`.

    Attributes:
        width: Share of the paper's channels that each layer has; the last convolution never has fewer than 1280.
        expansion: How many times as wide as its input a block is inside.
    """

    width: Positive = 0.5
    expansion: Count = 6

    def check(self) -> Iterable[str]:
        """Every layer needs a channel."""
        if int(STAGES[0][0] * self.width) < 1:
            yield f"width={self.width:g} is not allowed: it must be at least {1 / STAGES[0][0]:g}."

    def label(self) -> str:
        """`mobilenetv2`, with its width and expansion where they are not the benchmark's."""
        usual = (self.width, self.expansion) == (0.5, 6)
        return "mobilenetv2" if usual else f"mobilenetv2-{self.width:g}-{self.expansion}"


class InvertedResidual(nn.Module):
    """A 1x1 convolution that widens, a depthwise 3x3 one, and a 1x1 one that narrows and is not activated."""

    def __init__(self, inputs: int, width: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == width
        self.conv = nn.Sequential(
            *_convolution(inputs, inner, 1),
            *_convolution(inner, inner, 3, stride=stride, groups=inner),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Feature map `[batch, width, height / stride, width / stride]`."""
        return inputs + self.conv(inputs) if self.adds else self.conv(inputs)


class MobileNetV2(nn.Module):
    """A stem `conv1`, seven stages (`blocks.0`, ...), a 1x1 convolution `conv2`, pooling, a `classifier`.

    Args:
        options: Width and expansion.
        channels: Channels of the pictures.
        classes: Width of the logits.
    """

    def __init__(self, options: MobileNetV2Options, channels: int, classes: int):
        super().__init__()
        width = int(STEM * options.width)
        self.conv1 = _convolution(channels, width, 3, stride=2)
        self.blocks = nn.Sequential()
        for base, count, stride in STAGES:
            stage = nn.Sequential()
            for number in range(count):
                outputs = int(base * options.width)
                expansion = options.expansion if len(self.blocks) else 1
                stage.append(InvertedResidual(width, outputs, stride if number == 0 else 1, expansion))
                width = outputs
            self.blocks.append(stage)
        last = max(LAST, int(LAST * options.width))
        self.conv2 = _convolution(width, last, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(last, classes))
        # Linear bottlenecks: no activation follows.
        self.taps = Taps(("blocks.1", "blocks.2", "blocks.4", "blocks.6"), "classifier.0", (None,) * 4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # As wide as the output is, whatever the groups are.
                deviation = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
                nn.init.normal_(module.weight, std=deviation)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]` of any size."""
        feature = self.conv2(self.blocks(self.conv1(inputs)))
        return self.classifier(self.avgpool(feature).flatten(1))


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


@models.register("mobilenetv2", MobileNetV2Options)
def build(options: MobileNetV2Options, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A MobileNetV2 for pictures of any size."""
    channels, _, _ = pictures(options.label(), input_shape)
    return MobileNetV2(options, channels, classes)
