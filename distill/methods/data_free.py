"""A student that sees no example: what learning from a teacher alone takes of a plan."""

from __future__ import annotations

from dataclasses import replace

from distill.errors import ConfigError
from distill.methods.nodes import WHOLE, Node


def without_data(student: Node, method: str, count: int) -> Node:
    """The student, with as many stand-ins in place of examples.

    Args:
        student: As the cast has it.
        method: What makes its examples.
        count: How many it makes for an epoch.

    Raises:
        ConfigError: Its epoch would be chosen by examples, or it sees another kind of inputs than the teacher.
    """
    if student.hparams.select == "best_val":
        raise ConfigError(
            f"select=best_val is not allowed with method={method}: without data there are no validation examples to "
            "choose an epoch by; give hparams.student.select=last."
        )
    if student.data != WHOLE:
        raise ConfigError(
            f"dataset.student_view is not allowed with method={method}, whose pictures are of the teacher's kind."
        )
    return replace(student, data=f"generated:{count}")
