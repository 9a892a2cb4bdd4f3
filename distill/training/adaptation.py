"""Learning from unlabelled test data while they are answered: a network taught by its own moving average.

The mean teacher (Tarvainen, Valpola 2017, https://arxiv.org/abs/1703.01780) at test time, as in CoTTA (Wang et al.
2022, https://arxiv.org/abs/2203.13591) and RMT (Doebler, Marsden, Yang 2023, https://arxiv.org/abs/2211.13081), whose
defaults these are: batches of 200, one step of Adam with learning rate 0.001 on each, decay 0.999. Batch norm takes its
statistics from the test batch, and by default only the parameters of normalisation layers move (Tent, Wang et al. 2021,
https://arxiv.org/abs/2006.10726). CoTTA's averaging over augmented answers and its random restoring of weights, RMT's
contrastive term and its replay of training examples are left out.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from pydantic import Strict
from torch import Tensor, nn

from distill.config.options import Fraction, Natural, Options, Positive
from distill.data.augment import Augmentation
from distill.data.batches import Batches
from distill.data.normalization import Normalization
from distill.data.split import Split
from distill.errors import ConfigError
from distill.seeds import generator
from distill.types import Batch

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_NORMS = (*_BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.RMSNorm)
_JITTER = 0.1  # standard deviation of the noise on arrays that are no pictures, normalised


@dataclass(frozen=True, kw_only=True)
class AdaptOptions(Options):
    """Options of `adapt=test_time`.

    Attributes:
        steps: Of the optimiser on each batch; 0 leaves the weights as they are, so that only batch norm adapts.
        lr: Learning rate of Adam.
        decay: Of the moving average that teaches, 0..1.
        parameters: What moves: `norm` the weights and biases of normalisation layers, `all` every parameter, `auto` the
            former in a network that has some, else the latter.
        batch_size: Test examples that arrive together, >= 2.
        seed: Of the order in which they arrive, and of the augmented views that the network learns from.
    """

    name: str = "test_time"
    steps: Natural = 1
    lr: Positive = 0.001
    decay: Fraction = 0.999
    parameters: Literal["auto", "norm", "all"] = "auto"
    batch_size: Annotated[int, Strict(), Ge(2)] = 200
    seed: Natural = 0


def adapted_logits(
    network: nn.Module, test: Split, normalization: Normalization, options: AdaptOptions, device: torch.device
) -> Tensor:
    """What a network answers to a stream of examples that it adapts to on its way.

    Each batch is answered first, by the network and its moving average together (the mean of their log-probabilities),
    and learned from afterwards: the network's answers to a strongly augmented view (noise, for arrays that are no
    pictures) come nearer to the average's answers to the batch, by soft cross-entropy in fp32.

    Args:
        network: In evaluation mode, on `device`; a copy adapts, and the network stays as it is.
        test: The examples, which arrive shuffled. Their labels have no influence.
        normalization: From raw examples to its inputs.
        options: How it adapts.
        device: Where to compute.

    Returns:
        `[examples, classes]` fp32, in the order of `test`.

    Raises:
        ConfigError: There is nothing in the network that could adapt, or there are too few examples.
    """
    student = copy.deepcopy(network).eval()
    learning = _prepare(student, options, len(test))
    teacher = copy.deepcopy(student).requires_grad_(False)
    averaged = dict(teacher.named_parameters())
    optimizer = torch.optim.Adam(learning.values(), lr=options.lr)
    unlabelled = Split(test.inputs, torch.zeros_like(test.labels))
    pictures = len(test.inputs.shape) == 4
    stream = Batches(
        unlabelled, options.batch_size, normalization, Augmentation(), options.seed, device, strong=pictures
    )
    answers, positions = [], []
    for number, batch in enumerate(stream.epoch(0)):
        with torch.no_grad():
            told = teacher(batch.inputs).float()
            answers.append((student(batch.inputs).float().log_softmax(1) + told.log_softmax(1)) / 2)
        positions.append(batch.index)
        for step in range(options.steps):
            loss = _soft_cross_entropy(student(_view(batch, options.seed, number)), told)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _follow(averaged, learning, options.decay)
            if step + 1 < options.steps:
                with torch.no_grad():
                    told = teacher(batch.inputs).float()
    return torch.cat(answers)[torch.cat(positions).argsort()]


def _prepare(network: nn.Module, options: AdaptOptions, examples: int) -> dict[str, nn.Parameter]:
    """Sets batch norm to the statistics of its batch; returns the parameters that move, and fixes the others."""
    everything = dict(network.named_parameters())
    norms = {name: module for name, module in network.named_modules() if isinstance(module, _NORMS)}
    inside = {f"{name}.{own}".lstrip(".") for name, norm in norms.items() for own, _ in norm.named_parameters()}
    if options.parameters == "norm" and not inside:
        raise ConfigError(
            "adapt.parameters=norm is not allowed: the network has no normalisation layer with parameters; give "
            "adapt.parameters=all."
        )
    if not everything:
        raise ConfigError("adapt=test_time is not allowed: the network has no parameters that could be trained.")
    if not all(parameter.is_floating_point() for parameter in everything.values()):
        raise ConfigError("adapt=test_time is not allowed: a network in int8 cannot learn; give the --role of another.")
    for norm in norms.values():
        if isinstance(norm, _BATCH_NORMS):
            if examples < 2:
                raise ConfigError("adapt=test_time is not allowed: batch norm needs two test examples at least.")
            norm.train()
    chosen = everything if options.parameters == "all" or not inside else {name: everything[name] for name in inside}
    network.requires_grad_(False)
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen


def _view(batch: Batch, seed: int, number: int) -> Tensor:
    if batch.strong is not None:
        return batch.strong
    noise = torch.randn(batch.inputs.shape, generator=generator(seed, "view", number))
    return batch.inputs + _JITTER * noise.to(batch.inputs)


def _soft_cross_entropy(student: Tensor, teacher: Tensor) -> Tensor:
    return -(teacher.softmax(1) * student.float().log_softmax(1)).sum(1).mean()


@torch.no_grad()
def _follow(averaged: dict[str, nn.Parameter], learning: dict[str, nn.Parameter], decay: float) -> None:
    """Moves the average of what is learnt towards it; the rest is the same in both."""
    for name, parameter in learning.items():
        averaged[name].lerp_(parameter, 1 - decay)
