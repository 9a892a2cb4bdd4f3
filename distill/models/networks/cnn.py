"""Plain convolutional networks: convolutions with max-pooling, one hidden layer, a classifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import BelowOne, Count
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps


@dataclass(frozen=True, kw_only=True)
class CnnOptions(ModelOptions):
    """Options of `cnn`.

    Attributes:
        channels: Output channels of each convolution, shallow to deep, at least one.
        hidden: Units of the fully connected hidden layer.
        dropout: Share of those units dropped while training, 0 to <1.
        kernel: Side of each convolution's kernel, pixels, odd; padding keeps the picture's size.
    """

    channels: list[Count] = field(default_factory=lambda: [16, 32])
    hidden: Count = 64
    dropout: BelowOne = 0.0
    kernel: Count = 3

    def check(self) -> Iterable[str]:
        """An even kernel cannot keep the size; a network without convolutions is an `mlp`."""
        if self.kernel % 2 == 0:
            yield f"kernel={self.kernel} is not allowed: it must be odd, such as 3 or 5."
        if not self.channels:
            yield "channels=[] is not allowed: it must name at least one convolution (model mlp has none)."

    def label(self) -> str:
        """`cnn` with its channels, such as `cnn-16-32`."""
        return "-".join(["cnn", *map(str, self.channels)])


class Cnn(nn.Module):
    """Stages of convolution, 2x2 max-pool and ReLU (`stages.0`, ...), a `hidden` layer and a `classifier`.

    A stage pools only while both sides of its picture are at least 2 pixels, so that small pictures work.

    Args:
        options: Channels, hidden units, dropout and kernel.
        shape: `(channels, height, width)` of one picture.
        classes: Width of the logits.
    """

    def __init__(self, options: CnnOptions, shape: tuple[int, int, int], classes: int):
        super().__init__()
        self.stages = nn.Sequential()
        activations: list[str] = []
        width, *sides = shape
        for number, channels in enumerate(options.channels):
            stage = nn.Sequential(nn.Conv2d(width, channels, options.kernel, padding="same"))
            if min(sides) >= 2:
                # The largest of what is rectified is what is rectified of the largest, and has fewer places.
                stage.append(nn.MaxPool2d(2))
                sides = [side // 2 for side in sides]
            activations.append(f"stages.{number}.{len(stage)}")
            self.stages.append(stage.append(nn.ReLU()))
            width = channels
        flat = width * sides[0] * sides[1]
        self.hidden = nn.Sequential(nn.Linear(flat, options.hidden), nn.ReLU(), nn.Dropout(options.dropout))
        self.classifier = nn.Linear(options.hidden, classes)
        stages = tuple(f"stages.{number}" for number in range(len(self.stages)))
        self.taps = Taps(stages, "classifier", tuple(activations))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, height, width]`."""
        return self.classifier(self.hidden(self.stages(inputs).flatten(1)))


@models.register("cnn", CnnOptions)
def build(options: CnnOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A CNN for pictures of one fixed size."""
    return Cnn(options, pictures(options.label(), input_shape), classes)
