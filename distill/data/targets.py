"""Real-valued targets: what they are called, and the scale on which networks learn them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.errors import DataError


@dataclass(frozen=True)
class Targets:
    """The targets of a regression.

    Networks learn and answer them standardised, so that losses, learning rates and margins mean the same whatever the
    unit; what is reported is in the data's own units.

    Attributes:
        names: What each is called.
        mean: Of each in the training examples, in its own unit.
        deviation: Standard deviation of each there, > 0.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, names: Sequence[str], values: Tensor, dataset: str) -> Targets:
        """The scale of some training examples.

        Args:
            names: What each target is called.
            values: `[examples, targets]` in their own units.
            dataset: What the data set is called, for the message.

        Raises:
            DataError: A target is the same in all examples.
        """
        mean, deviation = values.double().mean(0), values.double().std(0, correction=0)
        for name, value, spread in zip(names, mean.tolist(), deviation.tolist(), strict=True):
            if spread <= 1e-12 * abs(value):
                raise DataError(
                    f"{dataset}: the target {name!r} is {value:g} in all {len(values)} training examples, so that "
                    "there is nothing to learn; leave it out."
                )
        return cls(tuple(names), tuple(mean.tolist()), tuple(deviation.tolist()))

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Targets:
        """What `vars` of one gave, read back from a file."""
        return cls(tuple(facts["names"]), tuple(facts["mean"]), tuple(facts["deviation"]))

    def learned(self, values: Tensor) -> Tensor:
        """Values in their own units, `[examples, targets]`, as networks learn them, float32."""
        return ((values.double() - self._row(self.mean)) / self._row(self.deviation)).float()

    def own(self, answers: Tensor) -> Tensor:
        """What networks answer, `[examples, targets]`, in the targets' own units, float64 on the CPU."""
        return answers.cpu().double() * self._row(self.deviation) + self._row(self.mean)

    def _row(self, numbers: tuple[float, ...]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64)
