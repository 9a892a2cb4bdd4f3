"""Exits: classifiers on the stages of a network."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from distill.methods.adapters import as_map


def channels(feature: Tensor) -> int:
    """The width of a map, of tokens or of a vector."""
    return feature.shape[1] if feature.ndim == 2 else as_map(feature).shape[1]


def make_exit(feature: Tensor, later: int, width: int, classes: int) -> nn.Sequential:
    """From a stage to logits, with a block that halves the map for each stage that comes `later`.

    Blocks double the channels, to at most those that they end in: a transformer has many stages. The last module is
    the classifier, of `[batch, width]`.

    Args:
        feature: What the stage gives, of a few examples.
        later: How many stages come after it.
        width: Of what the classifier reads.
        classes: Width of the logits.
    """
    own = channels(feature)
    if feature.ndim == 2:
        return nn.Sequential(nn.Linear(own, width), nn.ReLU(), nn.Linear(width, classes))
    widths = [min(own * 2**step, max(own, width)) for step in range(later)] + [width]
    blocks = [_Halving(*pair) for pair in pairwise(widths)]
    top = blocks or [nn.Conv2d(own, width, 1)]
    return nn.Sequential(_AsMap(), *top, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class _AsMap(nn.Module):
    def forward(self, feature: Tensor) -> Tensor:
        return as_map(feature)


class _Halving(nn.Sequential):
    """Two depthwise separable convolutions, the first of which halves the map."""

    def __init__(self, width: int, outputs: int):
        super().__init__(*_separable(width, width, stride=2), *_separable(width, outputs, stride=1))


def _separable(width: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False),
        nn.Conv2d(width, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
