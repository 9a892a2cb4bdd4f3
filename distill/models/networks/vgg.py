"""VGG with batch norm for CIFAR (Simonyan, Zisserman 2015), without its large fully connected layers.

https://arxiv.org/abs/1409.1556. Architecture, initialisation and parameter names are those of RepDistiller and
mdistiller (https://github.com/HobbitLong/RepDistiller), so that their published teachers load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

WIDTHS = (64, 128, 256, 512, 512)
# How many convolutions each of the five blocks has.
CONVOLUTIONS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_LARGE = 64  # pixels from which the fourth block, too, is followed by a pooling


@dataclass(frozen=True, kw_only=True)
class VggOptions(ModelOptions):
    """Options of `vgg`.

    Attributes:
        depth: The number in its name; it counts the three fully connected layers of the original.
    """

    depth: Literal[8, 11, 13, 16, 19] = 8

    def label(self) -> str:
        """The benchmark's name, such as `vgg13`."""
        return f"vgg{self.depth}"


class Vgg(nn.Module):
    """Five blocks of 3x3 convolutions with batch norm and ReLU (`block0` to `block4`), and a linear `classifier`.

    2x2 max-pooling follows each of the first three blocks, and the fourth where both sides of the pictures are
    at least 64 pixels; none where a side is one pixel already. The last block is averaged over all places.

    Args:
        options: Depth.
        shape: `(channels, height, width)` of one picture.
        classes: Width of the logits.
    """

    def __init__(self, options: VggOptions, shape: tuple[int, int, int], classes: int):
        super().__init__()
        counts = CONVOLUTIONS[options.depth]
        width, *sides = shape
        pooled = 4 if min(sides) >= _LARGE else 3
        self.pools = nn.ModuleList()
        for number, (channels, count) in enumerate(zip(WIDTHS, counts, strict=True)):
            setattr(self, f"block{number}", _block(width, channels, count))
            pools = number < pooled and min(sides) >= 2
            self.pools.append(nn.MaxPool2d(2) if pools else nn.Identity())
            sides = [side // 2 for side in sides] if pools else sides
            width = channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, classes)
        stages = range(1, len(WIDTHS))
        self.taps = Taps(
            tuple(f"block{number}" for number in stages),
            "classifier",
            tuple(f"block{number}.{3 * counts[number] - 1}" for number in stages),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]`."""
        feature = inputs
        for number, pool in enumerate(self.pools):
            feature = pool(getattr(self, f"block{number}")(feature))
        return self.classifier(self.avgpool(feature).flatten(1))


def _block(inputs: int, width: int, count: int) -> nn.Sequential:
    layers = nn.Sequential()
    for number in range(count):
        convolution = nn.Conv2d(inputs if number == 0 else width, width, 3, padding=1)
        layers.extend([convolution, nn.BatchNorm2d(width), nn.ReLU()])
    return layers


@models.register("vgg", VggOptions)
def build(options: VggOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A VGG for pictures of one fixed size."""
    return Vgg(options, pictures(options.label(), input_shape), classes)
