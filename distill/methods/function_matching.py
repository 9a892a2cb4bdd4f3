"""Matching functions: Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent".

https://arxiv.org/abs/2106.05237, section 3. KL alone, without labels, on mixed examples that teacher and student see
alike, for very many epochs: what is learnt is the teacher's function, also between the examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from distill.config.options import Positive
from distill.methods.base import methods
from distill.methods.soft_targets import LogitMethod, LogitOptions, soft_target_loss
from distill.types import Batch, Output

__all__ = ["FunctionMatching", "FunctionMatchingOptions", "soft_target_loss"]


@dataclass(frozen=True, kw_only=True)
class FunctionMatchingOptions(LogitOptions):
    """Options of `function_matching`."""

    name: str = "function_matching"
    T: Positive = 1.0


@methods.register("function_matching", FunctionMatchingOptions)
class FunctionMatching(LogitMethod):
    """`T^2 * KL`, and nothing else."""

    stacks = frozenset({"T"})
    unlabelled = True
    options: FunctionMatchingOptions

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The term `soft`."""
        return {"soft": soft_target_loss(*self.compared(student, teacher), self.T)}
