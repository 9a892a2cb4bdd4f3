"""What methods with a first stage of their own share: for a share of the epochs their loss alone is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from distill.config.options import BelowOne
from distill.methods.guided import Guided, GuidedOptions
from distill.types import Batch, Output


@dataclass(frozen=True, kw_only=True)
class StagedOptions(GuidedOptions):
    """Options of every method with a first stage.

    Attributes:
        others_alone: Whether the second stage learns from labels and soft targets alone.
        init: Share of the epochs that the first stage takes; 30 of the benchmark's 240.
    """

    others_alone: ClassVar[bool] = True
    init: BelowOne = 0.125

    def check(self) -> Iterable[str]:
        """The second stage has something to learn from."""
        yield from super().check()
        if self.others_alone and not (self.hard_weight or self.soft_weight):
            yield (
                "hard_weight=0 is not allowed with soft_weight=0: labels and soft targets are all that the second "
                "stage learns from; give one of them a weight."
            )


class Staged(Guided):
    """The method's own loss alone in a first stage, and labels (and soft targets) alone in the second."""

    options: Any  # `StagedOptions`; a subclass says which

    @property
    def first_stage(self) -> float:
        """Its share of the epochs."""
        return self.options.init

    @property
    def initialises(self) -> bool:
        """Whether this epoch belongs to the first stage."""
        return self.begins(self.first_stage)

    @property
    def changes(self) -> bool:
        """Whether there are two stages, or the warm-up moves."""
        return self.first_stage > 0 or super().changes

    @property
    def reads_teacher(self) -> bool:
        """Whether anything of the teacher counts: labels are all that the second stage learns from by default."""
        return self.initialises or self.soft_weight > 0

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The method's own terms in the first stage, the other ones in the second."""
        return (self.own if self.initialises else self.others)(student, teacher, batch)
