"""Teacher and student from scratch in one pass: after Anil et al. 2018, "... through online distillation".

https://arxiv.org/abs/1804.03235, section 2. There, networks of one architecture teach each other, from predictions that
may be old; here a larger one, which learns from labels alone, teaches a smaller one, from those of the same step. The
student's loss is Hinton's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from distill.errors import ConfigError
from distill.methods.ban import SEED_STEP
from distill.methods.base import methods
from distill.methods.joint import part_of, trained_as_one
from distill.methods.soft_targets import AlphaOptions, LogitMethod, soft_target_loss
from distill.models.ensemble import Ensemble
from distill.models.together import Together
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node
    from distill.models.taps import Taps


@dataclass(frozen=True, kw_only=True)
class OnlineOptions(AlphaOptions):
    """Options of `online`."""

    name: str = "online"


@methods.register("online", OnlineOptions)
class Online(LogitMethod):
    """The student's `(1 - alpha) * cross_entropy + alpha * T^2 * KL`, and the teacher's `cross_entropy`."""

    taps = frozenset({"heads"})
    uses_teacher = False
    unlabelled = True
    options: OnlineOptions

    @classmethod
    def plan(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, options: OnlineOptions, cast: Cast
    ) -> list[Node]:
        """Both networks, trained as one; the teacher, the baseline, and the student.

        Raises:
            ConfigError: The teacher is not to be trained.
        """
        student = cast.student.model
        # Two equal networks that begin alike would have little to tell each other.
        teacher = replace(cast.teacher.model, seed=cast.teacher.model.seed + SEED_STEP)
        if not teacher.train:
            raise ConfigError(
                "teacher.train=false is not allowed with method=online, which trains the teacher together with the "
                "student: take method=hinton for a teacher that is trained already."
            )
        both = trained_as_one(cast.student, "together", (student, teacher))
        parts = {
            role: part_of(both, role, model, f"networks.{number}")
            for number, (role, model) in enumerate((("student", student), ("teacher", teacher)))
        }
        return [both, parts["teacher"], cast.baseline, parts["student"]]

    def redesign(
        self, student: nn.Module, taps: Taps, teacher: nn.Module | None, teacher_taps: Taps, example: Batch
    ) -> tuple[nn.Module, Taps]:
        """Both networks, answering what the student answers."""
        assert isinstance(student, Ensemble)
        both = Together(student.networks)
        return both, both.taps

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `soft`, `hard` and `hard.teacher`."""
        own, other = student.heads
        return {
            "soft": self.alpha * soft_target_loss(*self.compared(Output(own), Output(other.detach())), self.T),
            "hard": (1 - self.alpha) * self.hard_loss(own, batch),
            "hard.teacher": self.hard_loss(other, batch),
        }
