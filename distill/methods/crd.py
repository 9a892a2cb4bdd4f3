"""Telling examples apart by the other network: Tian et al. 2020, "Contrastive Representation Distillation".

https://arxiv.org/abs/1910.10699, section 3.1, with memories as in its implementation. Both ways are summed, the
student's embeddings against the teacher's memory and the teacher's against the student's, as in the authors' code.
Negatives are examples of other classes, drawn with replacement as noise-contrastive estimation has it; the authors'
code draws without where it can. Memories begin with random rows of length 1; the authors' have that length on average.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, Fraction, NonNegative, Positive
from distill.errors import ConfigError
from distill.methods.adapters import embeddings
from distill.methods.base import MethodOptions, methods
from distill.methods.guided import Guided, GuidedOptions
from distill.methods.memory import Memory, Negatives, from_all_processes, mean_over_processes
from distill.models.taps import Tapped
from distill.types import Batch, Output


def contrastive_loss(positive: Tensor, negatives: Tensor, noise: float, counts: Tensor | float = 1.0) -> Tensor:
    """How badly pairs are told from noise by their scores (noise-contrastive estimation), in fp32.

    Args:
        positive: `[batch]` log of the normalised score of each example with itself.
        negatives: `[batch, negatives]` log of those with other examples.
        noise: How many negatives are drawn for each example, divided by the number of examples.
        counts: `[batch, negatives]`, how often each negative counts.
    """
    threshold = math.log(noise)
    missed = F.logsigmoid(positive.float() - threshold)
    mistaken = (counts * F.logsigmoid(threshold - negatives.float())).sum(dim=1)
    return -(missed + mistaken).mean()


@dataclass(frozen=True, kw_only=True)
class CrdOptions(GuidedOptions):
    """Options of `crd`.

    Attributes:
        dim: Width of the linear embeddings of both networks, which are learnt.
        negatives: How many are drawn for each example; where the transfer set has no more, all of them count, each as
            often as it would be drawn on average.
        temperature: Of the scores.
        momentum: How much of a row of the memory stays when its example comes by.
    """

    name: str = "crd"
    weight: NonNegative = 0.8
    dim: Count = 128
    negatives: Count = 16384
    temperature: Positive = 0.07
    momentum: Fraction = 0.5

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """Negatives are examples of other classes."""
        return MethodOptions.refusals(self, regression=regression)


@methods.register("crd", CrdOptions)
class Crd(Guided):
    """`hard + weight * (student against the teacher's memory + teacher against the student's)`.

    A mixed example counts as the one that it is in the batch for, however much of it is seen.
    """

    taps = frozenset({"embedding"})
    stacks = None
    unlabelled = False
    options: CrdOptions

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Makes the embeddings and the memories."""
        super().build(student, teacher, example, labels)
        self.remember(labels)
        self.to(example.inputs.device)

    def remember(self, labels: Tensor) -> None:
        """Makes memories with a row for each example.

        Args:
            labels: `[examples]` int64, of the transfer set.

        Raises:
            ConfigError: All of them are of one class.
        """
        if not (labels != labels[0]).any():
            raise ConfigError("method=crd tells examples of different classes apart, and the student sees one class.")
        self.student_memory = Memory(len(labels), self.options.dim)
        self.teacher_memory = Memory(len(labels), self.options.dim)
        self.negatives = Negatives(labels, self.options.negatives)

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes the linear embeddings."""
        widths = [each.shape[1] for each in embeddings(student, teacher, self.options.name)]
        self.embed_student, self.embed_teacher = (nn.Linear(width, self.options.dim) for width in widths)

    def distance(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `student` and `teacher`, by whose embeddings are looked for in the memory of the other."""
        both = embeddings(student, teacher, self.options.name)
        layers = self.embed_student, self.embed_teacher
        ours, theirs = (F.normalize(layer(each), dim=1) for layer, each in zip(layers, both, strict=True))
        if self.negatives.all:
            return self.contrast(ours, theirs, batch.index, None, self.negatives.shares(batch.labels))
        return self.contrast(ours, theirs, batch.index, self.negatives.draw(batch.labels))

    def contrast(
        self, student: Tensor, teacher: Tensor, index: Tensor, negatives: Tensor | None, counts: Tensor | float = 1.0
    ) -> dict[str, Tensor]:
        """Both losses; afterwards the memories have moved towards the embeddings of this batch.

        Args:
            student: `[batch, dim]` embeddings of length 1.
            teacher: Likewise.
            index: `[batch]` int64, rows of the memories that belong to the examples.
            negatives: `[batch, negatives]` int64, rows to tell them from; `None` takes all rows.
            counts: How often each of those counts.
        """
        terms = {
            "student": self._loss(self.teacher_memory, student, index, negatives, counts),
            "teacher": self._loss(self.student_memory, teacher, index, negatives, counts),
        }
        index, ours, theirs = from_all_processes(index, student.detach(), teacher.detach())
        self.student_memory.remember(index, ours, self.options.momentum)
        self.teacher_memory.remember(index, theirs, self.options.momentum)
        return terms

    def _loss(
        self, memory: Memory, embedding: Tensor, index: Tensor, negatives: Tensor | None, counts: Tensor | float
    ) -> Tensor:
        own = index[:, None]
        chosen = None if negatives is None else torch.cat([own, negatives], dim=1)
        scores = memory.products(embedding, chosen) / self.options.temperature
        positive, others = (scores.gather(1, own)[:, 0], scores) if chosen is None else (scores[:, 0], scores[:, 1:])
        examples, drawn = len(memory.rows), self.options.negatives
        if self.epoch == 0:  # it is settled by the very first batch
            with torch.no_grad():
                total = (positive.exp() + (counts * others.exp()).sum(dim=1)).mean()
                memory.settle(mean_over_processes(total / (drawn + 1) * examples))
        normalizer = memory.normalizer.log()
        return contrastive_loss(positive - normalizer, others - normalizer, drawn / examples, counts)
