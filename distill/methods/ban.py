"""Born-again networks: Furlanello et al. 2018, "Born Again Neural Networks".

https://arxiv.org/abs/1805.04770, section 3: each generation begins with fresh weights and is taught by the one before
it; at the end all of them answer together. In the paper all have the teacher's architecture, which `model@student`
says; with a smaller student the first generation is ordinary distillation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from distill.config.options import Count, Fraction, Options, Positive
from distill.errors import ConfigError
from distill.methods.base import Method, methods
from distill.methods.bases import base_options

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node

# From one seed of the user to that of the next network of a plan: far enough not to meet another run's.
SEED_STEP = 1_000_003


@dataclass(frozen=True, kw_only=True)
class BanOptions(Options):
    """Options of `ban`.

    Attributes:
        generations: How many there are; the last one is the student.
        base: The method by which each teaches the next.
        T: Temperature, for a base that has one.
        alpha: Weight of the soft term, likewise.
        options: Further options of the base.
    """

    name: str = "ban"
    generations: Count = 3
    base: str = "hinton"
    T: Positive = 1.0
    alpha: Fraction = 0.5
    options: dict[str, Any] | None = None


@methods.register("ban", BanOptions)
class BornAgain(Method):
    """Nothing is trained with it: its plan gives each generation to the base."""

    options: BanOptions

    @classmethod
    def plan(cls, options: BanOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Teacher, baseline, the generations, of which the last is the student, and all of them together.

        Raises:
            ConfigError: The base is no method for one generation.
        """
        base = base_options("ban", options.base, options.options or {}, T=options.T, alpha=options.alpha)
        if options.generations > 1 and methods.find(options.base).factory.redesigns():
            raise ConfigError(
                f"method.base={options.base} is not allowed with method=ban: it makes another network of the student, "
                "and generations are to answer together; choose hinton, at or dkd."
            )
        nodes = [cast.teacher, cast.baseline]
        born: list[Node] = []
        for number in range(1, options.generations + 1):
            model = replace(cast.student.model, seed=cast.student.model.seed + SEED_STEP * (number - 1))
            role = "student" if number == options.generations else f"generation_{number}"
            parent = born[-1].role if born else cast.teacher.role
            born.append(replace(cast.student, role=role, model=model, method=base, parents=(parent,), step_of="ban"))
        if len(born) == 1:
            return nodes + born
        together = replace(
            cast.student,
            role="ensemble",
            kind="ensemble",
            parents=tuple(node.role for node in born),
            members=tuple(node.model for node in born),
        )
        return [*nodes, *born, together]
