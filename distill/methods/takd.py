"""A chain of teachers: Mirzadeh et al. 2020, "Improved Knowledge Distillation via Teacher Assistant".

https://arxiv.org/abs/1902.03393, section 3: where the student is much smaller than the teacher, a network of a size
between them learns from the teacher first, and teaches the student then; several make several steps. The baseline to
beat is the same method in one step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from distill.config.options import Fraction, Options, Positive
from distill.errors import ConfigError
from distill.methods.base import Method, methods
from distill.methods.bases import base_options

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node


@dataclass(frozen=True, kw_only=True)
class TakdOptions(Options):
    """Options of `takd`.

    Attributes:
        assistants: The networks between teacher and student, the largest first: names of `conf/model`, or mappings.
        base: The method of each step.
        T: Temperature of each step, for a base that has one.
        alpha: Weight of the soft term of each step, likewise.
        options: Further options of the base.
    """

    name: str = "takd"
    assistants: list[str | dict[str, Any]] = field(default_factory=lambda: ["mlp_128"])
    base: str = "hinton"
    T: Positive = 4.0
    alpha: Fraction = 0.9
    options: dict[str, Any] | None = None

    def check(self) -> Iterable[str]:
        """There is an assistant."""
        if not self.assistants:
            yield "assistants=[] is not allowed: name one network at least, or take its base as the method."


@methods.register("takd", TakdOptions)
class Takd(Method):
    """Nothing is trained with it: its plan gives each step to the base."""

    options: TakdOptions

    @classmethod
    def plan(cls, options: TakdOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Teacher, baseline, one assistant after the other, and the student of the last of them.

        Raises:
            ConfigError: An assistant is no network, or the base is no method for one step.
        """
        base = base_options("takd", options.base, options.options or {}, T=options.T, alpha=options.alpha)
        nodes = [cast.teacher, cast.baseline]
        teacher = cast.teacher.role
        for number, named in enumerate(options.assistants, start=1):
            model = cast.network("assistants", named, cast.student.model.seed)
            role = "assistant" if number == 1 else f"assistant_{number}"
            nodes.append(replace(cast.student, role=role, model=model, method=base, parents=(teacher,), step_of="takd"))
            teacher = role
        return [*nodes, replace(cast.student, method=base, parents=(teacher,), step_of="takd")]

    @classmethod
    def check_sizes(cls, parameters: Mapping[str, int]) -> None:
        """Each assistant is smaller than what teaches it, and larger than the student.

        Raises:
            ConfigError: One is not.
        """
        chain = [role for role in parameters if role != "baseline"]
        for above, below in itertools.pairwise(chain):
            if parameters[below] >= parameters[above]:
                raise ConfigError(
                    f"method=takd goes down step by step, and the {below} has {parameters[below]:,} parameters, the "
                    f"{above} above it {parameters[above]:,}: give assistants that get smaller, each between teacher "
                    "and student."
                )
