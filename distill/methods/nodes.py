"""The networks of a run as its method arranges them: who is trained, when, from whom, on what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from distill.config.dataset_options import DatasetOptions
from distill.config.model_options import ModelOptions
from distill.config.options import Options
from distill.config.schema import Hparams

WHOLE = "whole"


@dataclass(frozen=True)
class Node:
    """One network of a run.

    Attributes:
        role: What it is to the others; unique in a plan. Several of one kind are numbered: `teacher`, `teacher_2`.
        model: The network; of one with `members` the first of them.
        method: What it learns from.
        hparams: How it is trained.
        examples: `train` is all training examples, `transfer` those that the student may see.
        parents: Roles of the networks that it comes from: the first one teaches it, unless its `kind` says otherwise.
        mount: The key of the config under which its options stand.
        kind: `trained`; `ensemble`, its parents answering together, without training; or `part`, one network out of
            a parent that was trained as one with others.
        members: Networks that answer together, and so are one network, `distill.models.ensemble.Ensemble`.
        mean: What they answer: the mean of their `probabilities` or of their `logits`.
        part: Path of the module of its parent that a `part` is.
        start: Role of the network whose weights it begins with; `None` begins with fresh ones.
        data: The variant of the data set that it sees, see `distill.data.variants`.
        row: Whether it stands in the results table.
        step_of: Name of the method whose plan it is a step of, and which tables name in place of its own.
    """

    role: str
    model: ModelOptions
    method: Options
    hparams: Hparams
    examples: Literal["train", "transfer"]
    parents: tuple[str, ...] = ()
    mount: Literal["teacher", "student"] = "student"
    kind: Literal["trained", "ensemble", "part"] = "trained"
    members: tuple[ModelOptions, ...] = ()
    mean: Literal["probabilities", "logits"] = "probabilities"
    part: str = ""
    start: str | None = None
    data: str = WHOLE
    row: bool = True
    step_of: str = ""

    @property
    def trains(self) -> bool:
        """Whether it goes through the training loop."""
        return self.kind == "trained" and self.model.train

    @property
    def needs(self) -> tuple[str, ...]:
        """Roles of all networks that must be there before it."""
        return self.parents if self.start is None else tuple(dict.fromkeys((*self.parents, self.start)))

    @property
    def kept_as(self) -> str:
        """How the store calls it: equal networks are one, whatever their number in some plan."""
        return re.sub(r"_\d+$", "", self.role)

    def label(self) -> str:
        """How tables call it."""
        if not self.members:
            return self.model.label()
        labels = [member.label() for member in self.members]
        return f"{len(labels)} x {labels[0]}" if len(set(labels)) == 1 else " + ".join(labels)


@dataclass(frozen=True)
class Cast:
    """What a method makes its plan of.

    Attributes:
        teacher: Learns from labels, on all training examples.
        baseline: The student's network, taught by labels alone.
        student: The same network, taught by the method; its `parents` are for the plan to say.
        dataset: The data of the run.
        network: Finds a network by the name of a file in `conf/model`, or by a mapping of its options, given the key
            that the user wrote it under and the seed it gets; raises `ConfigError`.
    """

    teacher: Node
    baseline: Node
    student: Node
    dataset: DatasetOptions
    network: Callable[[str, Any, int], ModelOptions]
