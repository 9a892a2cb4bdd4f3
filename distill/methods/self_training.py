"""Pseudo-labels: the teacher labels the examples that have no label, and those that it is sure of join.

Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks",
https://www.researchgate.net/publication/280581078; with a teacher that is trained on labelled examples first, and asked
without augmentation while the student learns under it, Xie et al. 2020, "Self-training with Noisy Student",
https://arxiv.org/abs/1911.04252. The threshold is that of Sohn et al. 2020 (FixMatch), https://arxiv.org/abs/2001.07685,
table 4; Lee takes every example (0), Xie et al. those from .3 on, of 1,000 classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.config.options import Flag, Fraction, NonNegative, Options
from distill.data.split import HIDDEN, Split
from distill.errors import ConfigError
from distill.methods.base import HARD, Method, MethodOptions, methods
from distill.methods.nodes import Cast, Node
from distill.methods.pseudo_labels import chosen, told_of
from distill.types import Batch, Output


@dataclass(frozen=True, kw_only=True)
class SelfTrainingOptions(MethodOptions):
    """Options of `self_training`.

    Attributes:
        threshold: Probability of its most likely class from which on the teacher labels an example; with 1 none is,
            and the student learns from the labelled ones alone.
        soft: Whether the student learns the teacher's probabilities of these examples instead of the class.
        weight: Of an example that the teacher labelled, next to one that had its label.
    """

    name: str = "self_training"
    threshold: Fraction = 0.95
    soft: Flag = False
    weight: NonNegative = 1.0


@methods.register("self_training", SelfTrainingOptions)
class SelfTraining(Method):
    """Cross-entropy with the labels that are known, and with those of the teacher."""

    unlabelled = True
    options: SelfTrainingOptions
    _pseudo: Tensor | None = None  # `[examples]` bool, which labels are the teacher's

    @classmethod
    def plan(cls, options: Options, cast: Cast) -> list[Node]:
        """The usual one, where labels are hidden.

        Raises:
            ConfigError: There is no example without a label.
        """
        if cast.dataset.labelled is None:
            raise ConfigError(
                "method=self_training is not allowed without dataset.labelled: every example has its label; give "
                "dataset.labelled=500, or as many as are to keep theirs."
            )
        return super().plan(options, cast)

    @property
    def reads_teacher(self) -> bool:
        """Whether the teacher's probabilities are learnt; its labels are known before."""
        return self.options.soft

    def examples(self, split: Split, answers: Callable[[], Tensor]) -> Split:
        """The labelled examples, and the others with the teacher's label where it is sure."""
        confidence, told = answers().float().softmax(dim=1).to(split.labels.device).max(dim=1)
        hidden = split.labels == HIDDEN
        joins = chosen(confidence, hidden, self.options.threshold)
        self.found = {"pseudo_labels": told_of(told, joins, hidden, split.truth)}
        kept = (joins | ~hidden).nonzero().flatten()
        self._pseudo = joins[kept]
        return Split(split.inputs, torch.where(hidden, told, split.labels)).take(kept)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hard` and `pseudo`: together, with a weight of 1, the mean over all examples."""
        if self._pseudo is None:
            return {HARD: self.hard_loss(student.logits, batch)}
        pseudo = self._pseudo.to(batch.index.device)[batch.index]
        losses = self.hard_losses(student.logits, batch)
        taught = losses
        if self.options.soft:
            taught = -(teacher.logits.softmax(dim=1) * student.logits.log_softmax(dim=1)).sum(dim=1)
        return {
            HARD: torch.where(pseudo, 0.0, losses).mean(),
            "pseudo": self.options.weight * torch.where(pseudo, taught, 0.0).mean(),
        }
