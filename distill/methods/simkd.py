"""The teacher's classifier reused: Chen et al. 2022, "Knowledge Distillation with the Reused Teacher Classifier".

https://arxiv.org/abs/2203.14001, section 3: the student's last feature map goes through a projector to
what the teacher's classifier reads, and is trained to equal the teacher's by squared error; labels and soft targets
weigh nothing. The student is then its trunk, the projector and the teacher's classifier, which are measured and
exported together. Where the teacher's classifier reads something else than the mean of its last map, such as a hidden
layer, the embeddings take the place of the maps, and linear layers that of convolutions.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, NonNegative
from distill.errors import ConfigError
from distill.methods.adapters import as_map, embeddings, pooled, same_size
from distill.methods.base import methods
from distill.methods.guided import Guided, GuidedOptions
from distill.models.taps import Tapped, Taps
from distill.types import Batch, Output

_KEPT = "kept"


def reuse_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error in fp32, of maps at the smaller one's size.

    Args:
        student: `[batch, channels, height, width]` or `[batch, width]`, through the projector.
        teacher: Likewise.
    """
    if student.ndim > 2:
        student, teacher = same_size(student, teacher)
    return F.mse_loss(student.float(), teacher.float())


def make_projector(student: Tensor, teacher: Tensor, factor: int = 2) -> nn.Sequential:
    """1x1, 3x3 and 1x1 convolutions (three linear layers for vectors), each with batch norm and ReLU.

    The last ReLU is left out where the teacher's numbers may be negative.

    Args:
        student: What it reads, of a few examples.
        teacher: What it is to become.
        factor: By which the layers between are narrower than the teacher.
    """
    own, other = student.shape[1], teacher.shape[1]
    hidden = max(1, other // factor)
    parts: list[nn.Module] = []
    for inputs, outputs, side in ((own, hidden, 1), (hidden, hidden, 3), (hidden, other, 1)):
        if student.ndim == 2:
            parts += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
        else:
            convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
            parts += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*parts[: -1 if (teacher < 0).any() else None])


@dataclass(frozen=True, kw_only=True)
class SimkdOptions(GuidedOptions):
    """Options of `simkd`.

    Attributes:
        factor: By which the projector is narrower inside than the teacher.
    """

    name: str = "simkd"
    factor: Count = 2
    hard_weight: NonNegative = 0.0


@methods.register("simkd", SimkdOptions)
class Simkd(Guided):
    """`weight * mse(projected student, teacher)`."""

    taps = frozenset({"features", "embedding"})
    smallest_batch = 2
    options: SimkdOptions

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """The student's trunk, a projector and a copy of the teacher's classifier; its one tap is the projector."""
        assert teacher is not None, "its plan has one"
        if example.whole is not None:
            raise ConfigError(
                "method=simkd puts the teacher's classifier on the student, and both must see the same: leave "
                "dataset.student_view out, or choose another method."
            )
        taught, own = _seen(teacher, teacher_taps, example), _seen(student, taps, example)
        head = _classifier(teacher, teacher_taps, taught)
        size = None
        if _reads_mean_of_map(taught) and own.features and own.features[-1].ndim > 2:
            path = taps.features[-1]
            source, target = same_size(as_map(own.features[-1]), as_map(taught.features[-1]))
            size = (source.shape[2], source.shape[3])
        else:
            source, target = embeddings(own, taught, self.options.name)
            path = str(taps.embedding)
        _cut(student, path, example, itself=size is None)
        projector = make_projector(source, target, self.options.factor)
        network = Reused(student, path, size, projector, head).to(example.inputs.device).eval()
        try:
            network(example.inputs)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(
                f"method=simkd trains the student up to {path} alone, and without the rest of it the student does not "
                f"run ({str(error).splitlines()[0]}): choose another student, or another method."
            ) from error
        return network, Taps(features=("projector",), embedding="head")

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """The squared error between what was projected and what the teacher's classifier reads."""
        projected = student.features[-1]
        if projected.ndim > 2:
            return reuse_loss(projected, as_map(teacher.features[-1]))
        return reuse_loss(*embeddings(Output(student.logits, embedding=projected), teacher, self.options.name))


class Reused(nn.Module):
    """A student's trunk, a projector, and the classifier of its teacher, which stays as it is.

    Args:
        trunk: The student, without what runs only behind `path`.
        path: Of the module of the trunk whose output is projected.
        size: Height and width to which a map is averaged first; `None` for vectors.
        projector: From the student's width to the teacher's.
        head: The classifier, of the mean over the places.
    """

    def __init__(
        self, trunk: nn.Module, path: str, size: tuple[int, int] | None, projector: nn.Module, head: nn.Module
    ):
        super().__init__()
        self.trunk, self.projector, self.head = trunk, projector, head.requires_grad_(False)
        self._path, self._size = path, size
        trunk.get_submodule(path).register_forward_hook(_keep)

    def train(self, mode: bool = True) -> Reused:
        """As usual; only the classifier stays in evaluation mode, as its teacher's was."""
        super().train(mode)
        self.head.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of inputs `[batch, ...]`."""
        self.trunk(inputs)
        place = self.trunk.get_submodule(self._path)
        feature = getattr(place, _KEPT)
        setattr(place, _KEPT, None)
        if self._size is None:
            return self.head(self.projector(feature.flatten(1)))
        feature = as_map(feature)
        if feature.shape[2:] != self._size:
            feature = F.adaptive_avg_pool2d(feature, self._size)
        return self.head(pooled(self.projector(feature)))


def _keep(module: nn.Module, inputs: Any, output: Any) -> None:
    # On the module itself, so that a copy of the network keeps its own.
    setattr(module, _KEPT, output)


def _seen(network: nn.Module, taps: Taps, example: Batch) -> Output:
    with Tapped(network, taps.only(Simkd.taps)) as tapped:
        return tapped(example.inputs).float()


def _reads_mean_of_map(output: Output) -> bool:
    """Whether the embedding of a network is the mean over the places of its last map."""
    if output.embedding is None or not output.features or output.features[-1].ndim == 2:
        return False
    mean = pooled(output.features[-1])
    return mean.shape == output.embedding.shape and torch.allclose(mean, output.embedding, rtol=1e-3, atol=1e-4)


def _classifier(teacher: nn.Module, taps: Taps, seen: Output) -> nn.Module:
    """A copy of what makes the teacher's logits of its embedding."""
    if taps.embedding is not None and seen.embedding is not None:
        head = copy.deepcopy(teacher.get_submodule(taps.embedding))
        for module in head.modules():  # those of the teacher's taps are copied as well
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
        with suppress(RuntimeError):  # a convolution takes no vector
            if torch.allclose(head(seen.embedding).float(), seen.logits, rtol=1e-3, atol=1e-4):
                return head
    raise ConfigError(
        "method=simkd reuses the teacher's classifier, and nobody knows which module makes the teacher's logits of its "
        "embedding alone: give teacher.embedding=module.path, choose another teacher, or another method."
    )


def _cut(network: nn.Module, path: str, example: Batch, *, itself: bool) -> None:
    """Takes out of a network what has weights and runs only after a module, and that `itself` if asked."""
    ran: list[str | None] = []  # names in order; None where that module began, or answered
    place = network.get_submodule(path)
    mark = place.register_forward_pre_hook if itself else place.register_forward_hook
    handles = [mark(lambda *_: ran.append(None))]
    for name, module in network.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: ran.append(name)))
    try:
        network(example.inputs)
    finally:
        for handle in handles:
            handle.remove()
    last = len(ran) - ran[::-1].index(None)
    done: list[str] = []
    for name in ran[last:]:
        if name is None or name in ran[:last] or name.startswith(tuple(f"{outer}." for outer in done)):
            continue
        if any(True for _ in network.get_submodule(name).parameters()):
            network.set_submodule(name, nn.Identity())
            done.append(name)
