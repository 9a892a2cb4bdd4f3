"""Networks that are trained as one, and each of which is then a network of its own."""

from __future__ import annotations

from dataclasses import replace

from distill.config.model_options import ModelOptions
from distill.methods.nodes import Node


def trained_as_one(student: Node, role: str, members: tuple[ModelOptions, ...] = (), *, row: bool = False) -> Node:
    """The training that several networks share, with the student's hyperparameters, on the student's examples.

    Args:
        student: As the cast has it.
        role: Of the whole.
        members: The networks; none where the method makes them of the student.
        row: Whether the whole is shown in the table.
    """
    model = student.model
    if members:  # where the student is read is no place in what holds several networks
        model = replace(members[0], features=None, embedding=None, preactivations=None)
    return replace(student, role=role, model=model, members=members, row=row)


def part_of(whole: Node, role: str, model: ModelOptions, path: str) -> Node:
    """One of the networks that were trained as one.

    Args:
        whole: That training.
        role: Of the part.
        model: The network.
        path: Of its module in the whole.
    """
    mount = "teacher" if role == "teacher" else "student"
    return replace(
        whole, role=role, model=model, mount=mount, kind="part", part=path, parents=(whole.role,), members=(), row=True
    )
