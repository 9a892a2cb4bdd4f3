"""Learning from a teacher alone: Chen et al. 2019, "Data-Free Learning of Student Networks" (DAFL).

https://arxiv.org/abs/1904.01186, section 3.2. A generator makes pictures that the teacher is sure of and that excite
it, of all classes alike; in the same step the student learns what the teacher answers to them. Two scales follow the
authors' code, as its weights belong to them: the entropy is not divided by the number of classes, and activations are
averaged over features. The code takes the logarithm to base 10, here it is the natural one: its weight of 5 is
5 / ln 10 = 2.17 here. It has an optimiser for each network, Adam for the generator; here one moves both.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, NonNegative, Positive
from distill.errors import ConfigError
from distill.methods.base import check_same_classes, methods
from distill.methods.data_free import without_data
from distill.methods.generator import Generator
from distill.methods.soft_targets import LogitMethod, LogitOptions, soft_target_loss
from distill.seeds import generator
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node
    from distill.models.taps import Tapped


@dataclass(frozen=True, kw_only=True)
class DaflOptions(LogitOptions):
    """Options of `dafl`.

    Attributes:
        one_hot: Weight of `one_hot_loss`.
        balance: Weight of `class_balance_loss`.
        activation: Weight of `activation_loss`.
        steps: Of an epoch, each with a new batch of pictures.
        latent: Numbers of noise from which the generator makes a picture.
        width: Channels of the generator, even.
        generator_lr: Its learning rate, as a multiple of the student's.
    """

    name: str = "dafl"
    T: Positive = 1.0
    one_hot: NonNegative = 1.0
    balance: NonNegative = 2.17
    activation: NonNegative = 0.1
    steps: Count = 120
    latent: Count = 100
    width: Count = 128
    generator_lr: Positive = 100.0

    def check(self) -> Iterable[str]:
        """The generator's channels are halved."""
        yield from super().check()
        if self.width % 2:
            yield f"width={self.width} is not allowed: it must be even."


@methods.register("dafl", DaflOptions)
class Dafl(LogitMethod):
    """`T^2 * KL` on generated pictures, and the three losses of their generator."""

    taps = frozenset({"embedding"})
    smallest_batch = 2  # the generator has batch norm
    options: DaflOptions
    generator: Generator

    def __init__(self, options: DaflOptions):
        super().__init__(options)
        self.lr_scale = options.generator_lr
        self._ask: Callable[[Batch], Output] | None = None
        self._taught: Output | None = None

    @classmethod
    def plan(cls, options: DaflOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Teacher, baseline, and a student that sees no example.

        Raises:
            ConfigError: The student's epoch would be chosen by examples.
        """
        student = without_data(cast.student, "dafl", options.steps * cast.student.hparams.batch_size)
        return [cast.teacher, cast.baseline, replace(student, parents=(cast.teacher.role,))]

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Makes the generator.

        Raises:
            ConfigError: Nobody knows what goes into the teacher's classifier.
        """
        taught = teacher.see(example)
        check_same_classes(student.see(example).logits, taught.logits)
        if taught.embedding is None:
            raise ConfigError(
                "method=dafl reads what goes into the teacher's classifier, and this teacher has no linear layer that "
                "could be it: name its module with teacher.embedding=..."
            )
        shape = tuple(example.inputs.shape[1:])
        self.generator = Generator(self.options.latent, shape, self.options.width).to(example.inputs.device)

    def inherit(self, teacher: Callable[[Batch], Output], others: Sequence[nn.Module]) -> None:
        """Keeps the teacher, which the generator learns through."""
        self._ask = teacher

    @property
    def reads_teacher(self) -> bool:
        """It asks the teacher itself, to have its gradient."""
        return False

    def prepare(self, batch: Batch) -> Batch:
        """Pictures in place of what stands in for them; their labels are the teacher's."""
        assert self._ask is not None, "inherit comes first"
        # On the CPU, so that it is the same on every device; the loop keeps the state of this stream.
        noise = torch.randn(len(batch), self.options.latent).to(batch.inputs.device)
        pictures = self.generator(noise)
        self._taught = self._ask(replace(batch, inputs=pictures))
        return replace(batch, inputs=pictures.detach(), labels=self._taught.logits.argmax(dim=1), mix=None)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The term `soft` of the student, and `one_hot`, `balance` and `activation` of the generator."""
        taught, options = self._taught, self.options
        assert taught is not None, "prepare comes first"
        assert taught.embedding is not None, "build has seen it"
        return {
            "soft": soft_target_loss(*self.compared(student, Output(taught.logits.detach())), self.T),
            "one_hot": options.one_hot * one_hot_loss(taught.logits),
            "balance": options.balance * class_balance_loss(taught.logits),
            "activation": options.activation * activation_loss(taught.embedding),
        }

    @torch.no_grad()
    def generated(self, count: int) -> Tensor:
        """What the generator makes at the end, of noise that is always the same, as one batch."""
        noise = torch.randn(count, self.options.latent, generator=generator(0, "generated"))
        # A copy, as its batch norm works as while it trained, and would change by that.
        made = copy.deepcopy(self.generator).train()
        return made(noise.to(made.linear.weight.device))


def one_hot_loss(logits: Tensor) -> Tensor:
    """Cross-entropy with the class that is likeliest anyway, mean over the batch, in fp32.

    Args:
        logits: `[batch, classes]`, of the teacher.
    """
    return F.cross_entropy(logits.float(), logits.argmax(dim=1))


def class_balance_loss(logits: Tensor) -> Tensor:
    """Minus the entropy of the mean prediction, in nats, in fp32; least, at -ln(classes), where all are as likely.

    Args:
        logits: `[batch, classes]`, of the teacher.
    """
    mean = torch.logsumexp(F.log_softmax(logits.float(), dim=1), dim=0) - math.log(len(logits))
    return (mean.exp() * mean).sum()


def activation_loss(features: Tensor) -> Tensor:
    """Minus the mean absolute value, in fp32.

    Args:
        features: `[batch, width]`, of the teacher before its classifier.
    """
    return -features.float().abs().mean()
