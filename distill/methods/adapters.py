"""Making what two networks hold comparable: stages in pairs, maps of one size, regressors between widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from distill.errors import ConfigError
from distill.types import Output

Thing = TypeVar("Thing")


def pairs(student: Sequence[Thing], teacher: Sequence[Thing]) -> list[tuple[Thing, Thing]]:
    """The stages of both networks, shallow to deep, each with its counterpart.

    Where one has more of them, the others are spread over it evenly, the last beside the last.

    Args:
        student: One thing per stage.
        teacher: Likewise.
    """
    count = min(len(student), len(teacher))
    return list(zip(_spread(student, count), _spread(teacher, count), strict=True))


def _spread(things: Sequence[Thing], count: int) -> list[Thing]:
    return [things[-(-(number + 1) * len(things) // count) - 1] for number in range(count)]


def as_map(feature: Tensor) -> Tensor:
    """A feature map `[batch, channels, height, width]`, of a transformer's tokens too.

    Args:
        feature: A map; or tokens `[batch, tokens, width]` that are a square of patches after a few class tokens.

    Raises:
        ConfigError: It is neither.
    """
    if feature.ndim == 4:
        return feature
    if feature.ndim == 3:
        side = int(feature.shape[1] ** 0.5)
        patches = feature[:, feature.shape[1] - side * side :]
        return patches.transpose(1, 2).unflatten(2, (side, side))
    raise ConfigError(f"A feature of shape {list(feature.shape[1:])} is not a map of channels x height x width.")


def maps(features: Sequence[Tensor], whose: str, method: str) -> list[Tensor]:
    """The feature maps of a network.

    Args:
        features: What its taps read.
        whose: `student` or `teacher`, for the message.
        method: Which method needs them, likewise.

    Raises:
        ConfigError: It has none.
    """
    found = [as_map(feature) for feature in features if feature.ndim in (3, 4)]
    if not found:
        raise ConfigError(
            f"method={method} needs feature maps, and the {whose} has none where it is read: choose a convolutional "
            f"network, or a method that takes vectors, such as hinton, fitnet or rkd."
        )
    return found


def map_pairs(
    student: Sequence[Tensor], teacher: Sequence[Tensor], method: str, *, at_least: int = 1
) -> list[tuple[Tensor, Tensor]]:
    """The feature maps of both networks, each with its counterpart.

    Args:
        student: What its taps read.
        teacher: Likewise.
        method: Which method needs them, for the message.
        at_least: How many pairs it needs.

    Raises:
        ConfigError: There are fewer.
    """
    found = {"student": maps(student, "student", method), "teacher": maps(teacher, "teacher", method)}
    for whose, features in found.items():
        if len(features) < at_least:
            raise ConfigError(
                f"method={method} compares a feature map with the next one, and the {whose} is read at "
                f"{len(features)}: name {at_least} modules or more in {whose}.features."
            )
    return pairs(found["student"], found["teacher"])


def layers(features: Sequence[Tensor], whose: str, method: str) -> Sequence[Tensor]:
    """The hidden layers of a network, maps or vectors.

    Args:
        features: What its taps read.
        whose: `student` or `teacher`, for the message.
        method: Which method needs them, likewise.

    Raises:
        ConfigError: It has none.
    """
    if not features:
        raise ConfigError(
            f"method={method} needs a hidden layer, and the {whose} has none where it is read: choose a network with "
            f"hidden layers, name some in {whose}.features, or take a method on logits, such as hinton."
        )
    return features


def layer_pairs(student: Sequence[Tensor], teacher: Sequence[Tensor], method: str) -> list[tuple[Tensor, Tensor]]:
    """The hidden layers of both networks, maps or vectors, each with its counterpart.

    Args:
        student: What its taps read.
        teacher: Likewise.
        method: Which method needs them, for the message.

    Raises:
        ConfigError: One of them has none.
    """
    return pairs(layers(student, "student", method), layers(teacher, "teacher", method))


def pooled(feature: Tensor) -> Tensor:
    """`[batch, width]`: the mean over the places of a map, over the tokens of a transformer, or a vector as it is."""
    return feature if feature.ndim == 2 else as_map(feature).mean(dim=(2, 3))


def same_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps at the smaller height and width, by average pooling.

    Args:
        student: `[batch, channels, height, width]`.
        teacher: Likewise.
    """
    size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))
    return _shrunk(student, size), _shrunk(teacher, size)


def _shrunk(feature: Tensor, size: tuple[int, int]) -> Tensor:
    return feature if tuple(feature.shape[2:]) == size else F.adaptive_avg_pool2d(feature, size)


def comparable(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both as maps of one size, or both as vectors where one of them is a vector.

    Args:
        student: A map, tokens, or `[batch, width]`.
        teacher: Likewise.
    """
    if student.ndim == 2 or teacher.ndim == 2:
        return pooled(student), pooled(teacher)
    return same_size(as_map(student), as_map(teacher))


def regressor(student: Tensor, teacher: Tensor, *, bias: bool = True) -> nn.Module:
    """A linear map from the student's width to the teacher's: a 1x1 convolution, or a linear layer for vectors.

    Args:
        student: As `comparable` gave it.
        teacher: Likewise.
        bias: Whether it has one.
    """
    widths = student.shape[1], teacher.shape[1]
    return nn.Linear(*widths, bias=bias) if student.ndim == 2 else nn.Conv2d(*widths, 1, bias=bias)


def embeddings(student: Output, teacher: Output, method: str) -> tuple[Tensor, Tensor]:
    """The embeddings of both networks, `[batch, width]` each, in fp32.

    Args:
        student: What it answered.
        teacher: Likewise.
        method: Which method needs them, for the message.

    Raises:
        ConfigError: Nobody knows where one of them has its embedding.
    """
    found = []
    for whose, output in (("student", student), ("teacher", teacher)):
        if output.embedding is None:
            raise ConfigError(
                f"method={method} reads the embedding, and nobody knows where the {whose} has it: give "
                f"{whose}.embedding=module.path, the module whose input it is."
            )
        found.append(output.embedding.float())
    return found[0], found[1]


def fitted(student: Tensor, teacher: Tensor) -> nn.Module:
    """A regressor where the widths differ; where they are equal nothing is changed.

    Args:
        student: As `comparable` gave it.
        teacher: Likewise.
    """
    return nn.Identity() if student.shape[1] == teacher.shape[1] else regressor(student, teacher)
