"""The networks a run needs, in the order in which they can be trained."""

from __future__ import annotations

from dataclasses import replace

from distill.config.schema import Config
from distill.data.labelled import UNLABELLED
from distill.errors import ConfigError
from distill.experiments.named import named
from distill.methods import methods
from distill.methods.base import MethodOptions
from distill.methods.nodes import WHOLE, Cast, Node
from distill.methods.none import NoneOptions

__all__ = ["Node", "plan"]


def plan(config: Config) -> list[Node]:
    """What the method makes of teacher, baseline student and distilled student.

    Args:
        config: The run.

    Returns:
        Nodes, each after those that it comes from.

    Raises:
        ConfigError: The method has no plan for this, or is not for such targets.
    """
    labels = NoneOptions()
    view = config.dataset.student_view
    seen = WHOLE if view is None else f"view:{view}"
    factory = methods.find(config.method.name).factory
    if config.dataset.tasks and config.method.name != "lwf":
        raise ConfigError(
            f"dataset.tasks is not allowed with method={config.method.name}: of the methods only lwf learns tasks one "
            "after the other."
        )
    if config.dataset.labelled is not None and (view is not None or config.dataset.tasks):
        key = "tasks" if view is None else "student_view"
        raise ConfigError(f"dataset.labelled is not allowed with dataset.{key}: leave one of them out.")
    pupil = seen
    if config.dataset.labelled is not None:
        pupil = UNLABELLED
        if not factory.unlabelled:
            raise ConfigError(
                f"method={config.method.name} is not allowed with dataset.labelled={config.dataset.labelled}, as it "
                "needs the label of every example: give self_training, hinton, or another method that does not."
            )
    cast = Cast(
        teacher=Node("teacher", config.teacher, labels, config.teacher_hparams, "train", mount="teacher"),
        baseline=Node("baseline", config.student, labels, config.student_hparams, "transfer", data=seen),
        student=Node("student", config.student, config.method, config.student_hparams, "transfer", data=pupil),
        dataset=config.dataset,
        network=named,
    )
    nodes = factory.plan(config.method, cast)
    refusals = [
        refusal
        for node in nodes
        if isinstance(node.method, MethodOptions)
        for refusal in node.method.refusals(regression=config.dataset.regression)
    ]
    if refusals:
        raise ConfigError(*dict.fromkeys(refusals))
    # Numbers have no probabilities to average.
    return [replace(node, mean="logits") for node in nodes] if config.dataset.regression else nodes
