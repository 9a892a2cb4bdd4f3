"""Several methods at once: a weighted sum of their terms, with one term of labels for all."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from distill.config.options import NonNegative
from distill.errors import ConfigError
from distill.methods.base import HARD, Method, MethodOptions, methods
from distill.methods.terms import Term, read_terms
from distill.models.taps import Tapped
from distill.types import Batch, Output


@dataclass(frozen=True, kw_only=True)
class ComposeOptions(MethodOptions):
    """Options of `compose`.

    Attributes:
        terms: What `read_terms` takes; once it is read, a tuple of `Term`.
        hard_weight: Of the hard labels, which take the place of those of each method.
    """

    name: str = "compose"
    terms: str | list[Any] = "hinton+rkd"
    hard_weight: NonNegative = 1.0

    def __post_init__(self) -> None:
        """Replaces what was written by what it means: two spellings are one, and no option is left unsaid."""
        if not isinstance(self.terms, tuple):
            with suppress(ConfigError):  # `check` says it
                object.__setattr__(self, "terms", read_terms(self.terms))

    @property
    def parts(self) -> tuple[Term, ...]:
        """The terms, read."""
        return cast(tuple[Term, ...], self.terms)

    def check(self) -> Iterable[str]:
        """What is wrong with the terms."""
        if isinstance(self.terms, tuple):
            return ()
        try:
            read_terms(self.terms)
        except ConfigError as error:
            return error.problems
        return ()

    def refusals(self, *, regression: bool) -> Iterable[str]:
        """Those of its terms."""
        for term in self.parts:
            if isinstance(term.options, MethodOptions):
                yield from term.options.refusals(regression=regression)


@methods.register("compose", ComposeOptions)
class Compose(Method):
    """`hard_weight * cross_entropy + scale * every other term of each method`.

    Both networks answer once for all of them.
    """

    options: ComposeOptions

    def __init__(self, options: ComposeOptions):
        super().__init__(options)
        made = {term.options.name: methods.find(term.options.name).factory(term.options) for term in options.parts}
        parts = list(made.values())
        self.parts = nn.ModuleDict(made)
        self.taps = frozenset().union(*(part.taps for part in parts))
        self.strong = any(part.strong for part in parts)
        self.smallest_batch = max(part.smallest_batch for part in parts)
        self.stacks = None if any(part.stacks is None for part in parts) else frozenset()

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Builds each method."""
        for part in self._methods():
            part.build(student, teacher, example, labels)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Starts it in each method."""
        super().start_epoch(epoch, epochs)
        for part in self._methods():
            part.label_smoothing, part.hard_labels = self.label_smoothing, self.hard_labels
            part.start_epoch(epoch, epochs)

    @property
    def changes(self) -> bool:
        """Whether any of them does."""
        return super().changes or any(part.changes for part in self._methods())

    @property
    def reads_teacher(self) -> bool:
        """Whether any of them does."""
        return any(part.reads_teacher for part in self._methods())

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms of each method by its name, such as `at`, `hinton.soft` and `rkd.angle`; and `hard`."""
        found = {}
        for term, part in zip(self.options.parts, self._methods(), strict=True):
            own = term.options.name
            for name, value in part(student, teacher, batch).items():
                if name != HARD:
                    found[own if name == own else f"{own}.{name}"] = term.scale * value
        if self.options.hard_weight:
            found[HARD] = self.options.hard_weight * self.hard_loss(student.logits, batch)
        return found

    def observed(self) -> dict[str, Tensor]:
        """What each method observed, as `adversarial.discriminator_accuracy`."""
        return {
            f"{part.options.name}.{name}": value for part in self._methods() for name, value in part.observed().items()
        }

    def _methods(self) -> list[Method]:
        return cast(list[Method], list(self.parts.values()))
