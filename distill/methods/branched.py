"""A network whose last stage exists several times over: a shared trunk, branches, and a gate that weighs them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import ConfigError
from distill.methods.adapters import pooled
from distill.models.taps import Tapped, Taps
from distill.types import Batch

_KEPT = "kept"


class Gate(nn.Module):
    """How much each branch counts in the ensemble: linear layer, batch norm, ReLU, softmax.

    Args:
        width: Of the pooled features of the shared trunk.
        branches: How many there are.
    """

    def __init__(self, width: int, branches: int):
        super().__init__()
        self.linear = nn.Linear(width, branches)
        self.norm = nn.BatchNorm1d(branches)

    def forward(self, features: Tensor) -> Tensor:
        """`[batch, branches]` shares that sum to 1.

        Args:
            features: `[batch, width]`, of the trunk; at least two examples while it trains.
        """
        return self.norm(self.linear(features)).relu().softmax(dim=1)


def ensemble_logits(branches: Sequence[Tensor], shares: Tensor) -> Tensor:
    """`[batch, classes]` logits of all branches, weighted.

    Args:
        branches: `[batch, classes]` each.
        shares: `[batch, branches]`, of a `Gate`.
    """
    return (torch.stack(list(branches), dim=1) * shares.unsqueeze(2)).sum(dim=1)


class Branched(nn.Module):
    """A whole network, the first branch, and others that go on from what a module inside it gives.

    Args:
        student: The whole network, whose part up to that module is the trunk of all.
        path: Of the module.
        others: The same network each, with a `Given` at that place.
        gate: Weighs all branches by what the module gives, pooled.
    """

    def __init__(self, student: nn.Module, path: str, others: Sequence[nn.Module], gate: nn.Module):
        super().__init__()
        self.student, self.others, self.gate = student, nn.ModuleList(others), gate
        self.taps = Taps(heads=("student", *(f"others.{number}" for number in range(len(others)))))
        self._path = path
        student.get_submodule(path).register_forward_hook(_keep)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of the ensemble, of inputs `[batch, ...]`."""
        answers = [self.student(inputs)]
        trunk = self.student.get_submodule(self._path)
        feature = getattr(trunk, _KEPT)
        setattr(trunk, _KEPT, None)
        for other in self.others:
            place = other.get_submodule(self._path)
            assert isinstance(place, Given)
            place.value = feature
            answers.append(other(inputs))
            place.value = None
        return ensemble_logits(answers, self.gate(pooled(feature)))


class Given(nn.Module):
    """Gives what it was given, whatever it is asked.

    Attributes:
        value: That.
    """

    value: Tensor | None = None

    def forward(self, *inputs: Any) -> Tensor:
        """The value."""
        assert self.value is not None
        return self.value


def branched(student: nn.Module, taps: Taps, branches: int, example: Batch) -> Branched:
    """Shares a network up to its last stage but one, and repeats what comes after; of one stage, the classifier.

    The weights of further branches are those of the first in another order, which is as random as weights that are
    drawn anew, whatever they are drawn from.

    Args:
        student: In evaluation mode.
        taps: Where it is read; its `features` are the stages.
        branches: How many there shall be.
        example: A few examples.

    Raises:
        ConfigError: The network has no stages, or cannot be cut there.
    """
    if not taps.features:
        raise ConfigError(
            "method=one repeats the last stage of the student, and nobody knows its stages: name them in "
            "student.features=[module.path, ...], or choose another student."
        )
    path = taps.features[-2:][0]
    with Tapped(student, Taps(features=(path,))) as tapped:
        seen = tapped(example.inputs)
    rest = _rest(student, path, example)
    place = rest.get_submodule(path)
    assert isinstance(place, Given)
    place.value = seen.features[0]
    try:
        # Some networks begin with answers that are all close to zero.
        same = torch.allclose(rest(example.inputs), seen.logits, rtol=1e-3, atol=1e-3 * float(seen.logits.abs().max()))
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        same = False
    if not same:
        raise ConfigError(
            f"method=one repeats what comes after {path} of the student, and that does not run without what comes "
            "before it: name other modules in student.features, or choose another student, such as resnet8."
        )
    place.value = None
    others = [_shuffled(copy.deepcopy(rest)) for _ in range(branches - 1)]
    gate = Gate(pooled(seen.features[0]).shape[1], branches)
    return Branched(student, path, others, gate).to(example.inputs.device).eval()


def _keep(module: nn.Module, inputs: Any, output: Any) -> None:
    # On the module itself, so that a copy of the network keeps its own.
    setattr(module, _KEPT, output)


def _rest(network: nn.Module, path: str, example: Batch) -> nn.Module:
    """A copy of a network of which only what runs after a module does anything, with what the module gave."""
    rest = copy.deepcopy(network)
    names = [name for name, _ in rest.named_modules() if name]
    began: list[str] = []
    count = 0  # of what began before the module had answered

    def answered(*_: Any) -> None:
        nonlocal count
        count = len(began)

    handles = [rest.get_submodule(path).register_forward_hook(answered)]
    for name in names:
        handles.append(rest.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: began.append(name)))
    try:
        rest(example.inputs)
    finally:
        for handle in handles:
            handle.remove()
    later = set(began[count:])
    rest.set_submodule(path, Given())
    done: list[str] = [path]
    for name in dict.fromkeys(began[:count]):
        inside = name.startswith(tuple(f"{outer}." for outer in done))
        if name in later or inside or f"{path}.".startswith(f"{name}."):
            continue
        if any(below.startswith(f"{name}.") for below in later):
            continue
        rest.set_submodule(name, nn.Identity())
        done.append(name)
    return rest


def _shuffled(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            order = torch.randperm(parameter.numel()).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return network
