"""Pictures from what batch norm remembers: Yin et al. 2020, "Dreaming to Distill: ... via DeepInversion".

https://arxiv.org/abs/1912.08795, section 3. Pictures are trained until the teacher takes them for the classes that they
are to be of, and its batch norm for what it learned from (`distill.methods.inversion`); then the student learns from
them as from any data, without labels by default. The competition of both networks over the pictures (section 3.3) is
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from distill.config.options import Count, Flag, Fraction, Natural, NonNegative, Positive
from distill.config.schema import Hparams
from distill.data.split import Split
from distill.methods.base import methods
from distill.methods.data_free import without_data
from distill.methods.inversion import Dream, InversionOptions
from distill.methods.soft_targets import AlphaOptions, LogitMethod, soft_target_loss
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node

# The most epochs that the training of the pictures is divided into, so that people see it go on.
_EPOCHS = 20


@dataclass(frozen=True, kw_only=True)
class DeepInversionOptions(AlphaOptions):
    """Options of `deepinversion`.

    Attributes:
        pictures: How many are made.
        batch: How many of them are trained together; it divides `pictures`.
        iterations: Steps for each of these batches.
        lr: Learning rate of the pictures.
        statistics: Weight of what batch norm remembers.
        tv: Weight of the total variation.
        l2: Weight of the length of the pictures.
        jitter: Largest shift of a batch in a step, pixels.
        clip: Whether pictures stay between black and white.
    """

    name: str = "deepinversion"
    alpha: Fraction = 1.0
    pictures: Count = 2560
    batch: Count = 256
    iterations: Count = 2000
    lr: Positive = 0.1
    statistics: NonNegative = 100.0
    tv: NonNegative = 2.5e-5
    l2: NonNegative = 0.0
    jitter: Natural = 2
    clip: Flag = True

    def check(self) -> Iterable[str]:
        """Batches are full."""
        yield from super().check()
        if self.pictures % self.batch:
            yield (
                f"pictures={self.pictures} is not allowed: it must be a multiple of batch={self.batch}, which are "
                "trained together."
            )


@methods.register("deepinversion", DeepInversionOptions)
class DeepInversion(LogitMethod):
    """`(1 - alpha) * cross_entropy + alpha * T^2 * KL` on pictures that were made of the teacher."""

    options: DeepInversionOptions

    def __init__(self, options: DeepInversionOptions):
        super().__init__(options)
        self._dream: list[Dream] = []  # in a list, as it is no adapter

    @classmethod
    def plan(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, options: DeepInversionOptions, cast: Cast
    ) -> list[Node]:
        """Teacher, baseline, the pictures, and a student that sees nothing else.

        Raises:
            ConfigError: The student's epoch would be chosen by examples.
        """
        most = cast.student.hparams.limit_examples or options.pictures
        batch = min(options.batch, most)
        count = min(options.pictures, most) // batch * batch
        epochs = next(number for number in range(_EPOCHS, 0, -1) if options.iterations % number == 0)
        precision = cast.student.hparams.precision
        dream = replace(
            cast.teacher,
            role="pictures",
            model=replace(cast.teacher.model, checkpoint=None, train=True),
            method=InversionOptions(
                pictures=count,
                batch=batch,
                statistics=options.statistics,
                tv=options.tv,
                l2=options.l2,
                jitter=options.jitter,
                clip=options.clip,
            ),
            hparams=Hparams(
                epochs=epochs,
                batch_size=batch,
                optimizer="adam",
                lr=options.lr,
                weight_decay=0.0,
                schedule="constant",
                # What is compared with statistics is not to be rounded, unless that is asked for.
                precision="fp32" if precision == "auto" else precision,
            ),
            start=cast.teacher.role,
            data=f"generated:{options.iterations // epochs * count}",
            row=False,
        )
        student = replace(without_data(cast.student, "deepinversion", count), parents=(cast.teacher.role, dream.role))
        return [cast.teacher, cast.baseline, dream, student]

    def inherit(self, teacher: Callable[[Batch], Output], others: Sequence[nn.Module]) -> None:
        """Keeps the pictures."""
        self._dream = [dream for dream in others if isinstance(dream, Dream)]

    @torch.no_grad()
    def examples(self, split: Split, answers: Callable[[], Tensor]) -> Split:
        """The pictures in place of what stands in for them, in whole numbers, as what the teacher takes them for.

        The class that was asked for would be a wrong label wherever the statistics outweighed it.
        """
        (dream,) = self._dream
        white = split.tensor[0].max()
        pictures = (dream.shares.clamp(0, 1) * white).round().to(split.tensor.dtype)
        labels = torch.cat([dream(batch).argmax(dim=1) for batch in dream.batches])
        return Split(pictures, labels)

    def generated(self, count: int) -> Tensor:
        """The first pictures."""
        (dream,) = self._dream
        return dream.pictures[:count]

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The term `soft`, and `hard` where labels count."""
        found = {"soft": self.alpha * soft_target_loss(*self.compared(student, teacher), self.T)}
        if self.alpha < 1:
            found["hard"] = (1 - self.alpha) * self.hard_loss(student.logits, batch)
        return found
