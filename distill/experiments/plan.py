"""The networks a run needs, in the order in which they can be trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from distill.config.model_options import ModelOptions
from distill.config.options import Options
from distill.config.schema import Config, Hparams
from distill.methods import methods
from distill.methods.none import NoneOptions

Role = Literal["teacher", "baseline", "student"]


@dataclass(frozen=True)
class Node:
    """One network of a run.

    Attributes:
        role: What it is to the others; unique in a plan.
        model: The network.
        method: What it learns from.
        hparams: How it is trained.
        examples: `train` is all training examples, `transfer` those that the student may see.
        parents: Roles of the networks that teach it.
    """

    role: Role
    model: ModelOptions
    method: Options
    hparams: Hparams
    examples: Literal["train", "transfer"]
    parents: tuple[Role, ...] = ()


def plan(config: Config) -> list[Node]:
    """Teacher; baseline student; distilled student, unless the method is none, or needs no teacher.

    Args:
        config: The run.

    Returns:
        Nodes, each after its parents.
    """
    labels = NoneOptions()
    teacher = Node("teacher", config.teacher, labels, config.teacher_hparams, "train")
    baseline = Node("baseline", config.student, labels, config.student_hparams, "transfer")
    if isinstance(config.method, NoneOptions):
        return [teacher, baseline]
    student = Node("student", config.student, config.method, config.student_hparams, "transfer")
    if not methods.find(config.method.name).factory.uses_teacher:
        return [baseline, student]
    return [teacher, baseline, replace(student, parents=("teacher",))]
