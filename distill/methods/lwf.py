"""Learning without forgetting: Li, Hoiem 2016, https://arxiv.org/abs/1606.09282, section 3.

A network that has learned some tasks learns another one, and its own answers before that, to the examples of the new
task, are soft targets for the classes of the old ones: no old example is kept. `dataset.tasks` says what comes when. As
in the paper the task of an example is known when it is classified, each task has its own part of the last layer, the
divergence is not multiplied by T^2, and the new part learns alone at first. Answers of the old network are computed
anew for every augmented batch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import BelowOne, NonNegative, Options, Positive
from distill.errors import ConfigError
from distill.methods.base import HARD, Method, methods
from distill.methods.soft_targets import soft_target_loss
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node
    from distill.models.taps import Tapped


@dataclass(frozen=True, kw_only=True)
class LwfOptions(Options):
    """Options of `lwf`.

    Attributes:
        weight: Of the answers about each earlier task; 0 is plain fine-tuning.
        T: Temperature of those.
        head_warmup: Share of the epochs of a new task in which the classifier learns alone.
    """

    name: str = "lwf"
    weight: NonNegative = 1.0
    T: Positive = 2.0
    head_warmup: BelowOne = 0.1


@methods.register("lwf", LwfOptions)
class WithoutForgetting(Method):
    """`cross_entropy(new task) + weight * sum over earlier tasks of the divergence from the network before`."""

    taps = frozenset({"embedding"})
    options: LwfOptions

    def __init__(self, options: LwfOptions):
        super().__init__(options)
        self._trunk: list[nn.Parameter] = []

    @classmethod
    def plan(cls, options: LwfOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All tasks at once; the first task; fine-tuned from task to task, the baseline; and the same with this method.

        Raises:
            ConfigError: There are no tasks.
        """
        tasks = cast.dataset.task_classes
        if not tasks:
            raise ConfigError("method=lwf learns one task after the other: give dataset.tasks=[0-4,5-9], or others.")
        if cast.student.data != "whole":
            raise ConfigError("dataset.student_view is not allowed with method=lwf: leave it out.")

        mixed = cast.dataset.mixup or cast.dataset.student_mixup or cast.dataset.cutmix
        if mixed:
            raise ConfigError("mixup and cutmix are not allowed with method=lwf: leave them out.")
        if cast.student.hparams.hard_loss != "plain":
            raise ConfigError(
                f"hard_loss={cast.student.hparams.hard_loss} is not allowed with method=lwf: give hard_loss=plain."
            )
        if cast.student.hparams.select == "best_val":
            raise ConfigError(
                "select=best_val is not allowed with method=lwf: validation examples of earlier tasks are gone when "
                "the next one is learned; give select=last."
            )

        def comes(number: int) -> str:
            return f"tasks:{json.dumps([tasks, number])}"

        plain = LwfOptions(weight=0.0, head_warmup=options.head_warmup)
        first = replace(
            cast.student, role="task_1", method=replace(plain, head_warmup=0.0), data=comes(0), step_of="none"
        )
        tuned, kept = [first], [first]
        for number in range(1, len(tasks)):
            last = number == len(tasks) - 1
            fine = "baseline" if last else f"finetuned_{number + 1}"
            tuned.append(replace(first, role=fine, method=plain, start=tuned[-1].role, data=comes(number)))
            role, before = "student" if last else f"lwf_{number + 1}", kept[-1].role
            node = replace(first, role=role, method=options, start=before, parents=(before,), data=comes(number))
            kept.append(replace(node, step_of=""))
        return [replace(cast.baseline, role="joint", data=comes(-1)), *tuned, *kept[1:]]

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Finds what is in front of the classifier.

        Raises:
            ConfigError: Nobody knows where the classifier is.
        """
        if student.taps.embedding is None:
            raise ConfigError(
                "method=lwf lets the classifier learn alone at first, and nobody knows which module it is: give "
                "student.embedding=module.path."
            )
        head = {id(parameter) for parameter in student.network.get_submodule(student.taps.embedding).parameters()}
        self._trunk = [parameter for parameter in student.network.parameters() if id(parameter) not in head]

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Lets the trunk learn, or not yet."""
        super().start_epoch(epoch, epochs)
        for parameter in self._trunk:
            parameter.requires_grad_(not self.begins(self.options.head_warmup))

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hard` and `old`."""
        assert self.tasks, "the plan gives it tasks"
        new = torch.tensor(self.tasks[-1], device=batch.labels.device)
        own = (batch.labels[:, None] == new).int().argmax(dim=1)
        hard = F.cross_entropy(student.logits[:, new].float(), own, label_smoothing=self.label_smoothing)
        if not self.options.weight or not self.reads_teacher:
            return {HARD: hard}
        T = self.options.T
        old = [
            soft_target_loss(student.logits[:, list(task)], teacher.logits[:, list(task)], T) / T**2
            for task in self.tasks[:-1]
        ]
        return {HARD: hard, "old": self.options.weight * torch.stack(old).sum()}

    @property
    def reads_teacher(self) -> bool:
        """Whether there is something to remember."""
        return bool(self.options.weight) and len(self.tasks) > 1
