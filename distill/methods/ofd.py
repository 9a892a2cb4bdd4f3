"""The overhaul of feature distillation: Heo et al. 2019, "A Comprehensive Overhaul of Feature Distillation".

https://arxiv.org/abs/1904.01866, section 3: feature maps before their last ReLU, the teacher's cut off from
below at a margin for each channel (margin ReLU), and a squared distance that forgives the student what is negative
in both (partial L2). The margin is what a negative response of the teacher is on average, in closed form if
batch norm makes responses Gaussian. As in the authors' code a stage counts half as much as the next deeper one, and
the distance is summed over channels and places, which the small weight makes up for.

Behind a residual sum the batch norm is that of the residual branch, as in the authors' code. Where a teacher has no
batch norm before its ReLU, the margin is the mean of the negative responses to the batch at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from distill.config.options import NonNegative
from distill.methods.adapters import map_pairs, maps, pairs, same_size
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.models.taps import Tapped
from distill.types import Batch, Output

_SELDOM = 1e-3  # the probability of a negative response below which the authors take three deviations


def gaussian_margin(mean: Tensor, deviation: Tensor) -> Tensor:
    """`E[x | x < 0]` of Gaussian responses; three deviations below zero where these are hardly ever negative.

    Args:
        mean: `[channels]`, the bias of a batch norm.
        deviation: `[channels]`, its weight, of either sign.

    Returns:
        `[channels]`, in fp32, not above zero.
    """
    mean, deviation = mean.double(), deviation.double().abs().clamp_min(1e-12)
    below = torch.special.ndtr(-mean / deviation)
    density = torch.exp(-((mean / deviation) ** 2) / 2) / (2 * torch.pi) ** 0.5
    expected = mean - deviation * density / below.clamp_min(_SELDOM)
    return torch.where(below > _SELDOM, expected, -3 * deviation).float()


def batch_margin(teacher: Tensor) -> Tensor:
    """The mean of the negative responses of each channel to a batch, `[channels]`; zero where there are none.

    Args:
        teacher: `[batch, channels, height, width]`.
    """
    axes = (0, 2, 3)
    return teacher.clamp_max(0).sum(dim=axes) / (teacher < 0).sum(dim=axes).clamp_min(1)


def partial_l2(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """`sum (student - margin_relu(teacher))^2` but where `student <= margin_relu(teacher) <= 0`, mean over the batch.

    Args:
        student: `[batch, channels, height, width]`, before its ReLU and through the connector.
        teacher: Likewise, before its ReLU.
        margin: `[channels]`, not above zero.
    """
    wanted = torch.maximum(teacher.float(), margin.float()[:, None, None])
    counts = (student > wanted) | (wanted > 0)
    return torch.where(counts, (student.float() - wanted) ** 2, 0).flatten(1).sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class OfdOptions(GuidedOptions):
    """Options of `ofd`."""

    name: str = "ofd"
    weight: NonNegative = 1e-3


class Stage(nn.Module):
    """A 1x1 convolution with batch norm from the student's width to the teacher's, and the teacher's margin.

    Args:
        student: `[batch, channels, height, width]`.
        teacher: Likewise.
        norm: The batch norm whose output the teacher's map is; `None` without one.
    """

    margin: Tensor | None

    def __init__(self, student: Tensor, teacher: Tensor, norm: _BatchNorm | None):
        super().__init__()
        convolution = nn.Conv2d(student.shape[1], teacher.shape[1], 1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        self.connector = nn.Sequential(convolution, nn.BatchNorm2d(teacher.shape[1]))
        known = None if norm is None or not norm.affine else gaussian_margin(norm.bias, norm.weight)
        self.register_buffer("margin", known)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The partial distance, a scalar."""
        student, teacher = same_size(student, teacher)
        margin = batch_margin(teacher) if self.margin is None else self.margin
        return partial_l2(self.connector(student), teacher, margin)


@methods.register("ofd", OfdOptions)
class Ofd(Guided):
    """`weight * sum over stages of 2^-depth * partial L2 + hard_weight * cross_entropy`."""

    taps = frozenset({"preactivations"})
    stacks = None  # connectors have batch norm
    smallest_batch = 2
    options: OfdOptions

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Connectors, and the margins that the teacher's batch norms imply."""
        taught = teacher.see(example).float()
        norms = norms_before(teacher, example)
        own = maps(student.see(example).float().preactivations, "student", self.options.name)
        other = maps(taught.preactivations, "teacher", self.options.name)
        known = [norm for norm, value in zip(norms, taught.preactivations, strict=True) if value.ndim > 2]
        matched = pairs(range(len(own)), range(len(other)))
        self.stages = nn.ModuleList(Stage(own[i], other[j], known[j]) for i, j in matched)
        self.to(example.inputs.device)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The partial distances of all stages, the deepest with weight 1."""
        matched = map_pairs(student.preactivations, teacher.preactivations, self.options.name)
        found = torch.stack([stage(*pair) for stage, pair in zip(self.stages, matched, strict=True)])
        depths = torch.arange(len(found), device=found.device).flip(0)
        return (found * 0.5**depths).sum()


def norms_before(tapped: Tapped, batch: Batch) -> list[_BatchNorm | None]:
    """For each pre-activation of a network the batch norm that it comes out of, of the residual branch in a sum.

    Args:
        tapped: The network, in evaluation mode, with taps of pre-activations.
        batch: A few examples.
    """
    taps, network = tapped.taps, tapped.network
    ran: list[tuple[_BatchNorm, Tensor]] = []
    reached: dict[int, int] = {}  # how many had run when a pre-activation was read

    def remember(module: _BatchNorm, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ran.append((module, output.clone()))  # a sum with a shortcut may be written over it

    def mark(number: int) -> Callable[..., None]:
        return lambda *_: reached.__setitem__(number, len(ran))

    handles = [module.register_forward_hook(remember) for module in network.modules() if isinstance(module, _BatchNorm)]
    for number, path in enumerate(taps.preactivations):
        if path is None:  # the feature map itself
            handles.append(network.get_submodule(taps.features[number]).register_forward_hook(mark(number)))
        else:
            handles.append(network.get_submodule(path).register_forward_pre_hook(mark(number)))
    try:
        # As it is, for a compiled form may not notice new hooks.
        with Tapped(network, taps) as plain:
            values = plain(batch.inputs).preactivations
    finally:
        for handle in handles:
            handle.remove()
    return [_norm_before(value, ran[: reached[number]]) for number, value in enumerate(values)]


def _norm_before(value: Tensor, ran: list[tuple[_BatchNorm, Tensor]]) -> _BatchNorm | None:
    alike = [(norm, output) for norm, output in ran if output.shape == value.shape]
    if len(alike) > 1 and torch.allclose(alike[-2][1] + alike[-1][1], value):
        return alike[-2][0]  # the other one is the shortcut's
    return alike[-1][0] if alike else None
