"""Finding the step at which a loss stopped being a number, and what it had learnt from."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, nn

from distill.errors import TrainingError
from distill.training.tally import Tally
from distill.training.world import World

_MOST_EXAMPLES_TOLD = 8


class Finite:
    """Watches the losses of one training.

    Args:
        role: Of the network, for messages.
        stops: Whether a loss that is NaN or infinite ends the training.
        steps: Of an epoch.
        world: The processes that train together; all of them look at the same steps and find the same.
    """

    def __init__(self, role: str, stops: bool, steps: int, world: World):
        self._role = role
        self._stops = stops
        self._steps = steps
        self._world = world
        self._recent: list[Tensor] = []  # the examples of the steps since the last look, and of the one before

    def saw(self, index: Tensor) -> None:
        """Remembers the examples of the latest step, `[batch]`."""
        self._recent.append(index)

    def check(self, tally: Tally, epoch: int, first: int, step: int) -> None:
        """Looks at the losses since the last look, for which a device must be waited for.

        Args:
            tally: Of the epoch.
            epoch: From 0.
            first: How many steps of the epoch were done at the last look.
            step: How many are done now.

        Raises:
            TrainingError: One is NaN or infinite; its `facts` hold the examples of that step and the one before,
                whose gradient may be to blame.
        """
        recent, self._recent = self._recent, self._recent[-1:]
        if not self._stops:
            return
        left = 0 if tally.finite(first, step) else self._steps - tally.first_not_finite(first, step)
        left = self._world.largest(left)  # the earliest of all processes
        if not left:
            return
        broken = self._steps - left
        age = step - broken  # 1 for the latest step
        examples, before = self._examples(recent, age), self._examples(recent, age + 1)
        shown = ", ".join(map(str, examples[:_MOST_EXAMPLES_TOLD]))
        more = f" and {len(examples) - _MOST_EXAMPLES_TOLD} more" if len(examples) > _MOST_EXAMPLES_TOLD else ""
        raise self._error(
            f"The loss of the {self._role} is {tally.loss(broken).item()} at epoch {epoch + 1}, step {broken + 1} of "
            f"{self._steps} (training examples {shown}{more})",
            {"epoch": epoch + 1, "step": broken + 1, "examples": examples, "examples_of_the_step_before": before},
        )

    def check_skipped(self, skipped: int, epoch: int) -> None:
        """Refuses to go on when no step of an epoch moved anything.

        Raises:
            TrainingError: All were skipped.
        """
        if skipped == self._steps:
            raise self._error(
                f"The {self._role} learned nothing in epoch {epoch + 1}: the gradient of none of its {skipped} steps "
                "was finite",
                {"epoch": epoch + 1, "skipped": skipped},
            )

    def check_weights(self, state: Iterable[Tensor], epoch: int) -> None:
        """Looks at weights and statistics after an epoch, which a last step may have spoilt.

        Raises:
            TrainingError: One is NaN or infinite.
        """
        weights = [tensor.detach() for tensor in state if tensor.is_floating_point()]
        if not math.isfinite(nn.utils.get_total_norm(weights).item()):
            raise self._error(
                f"The weights of the {self._role} are not finite after epoch {epoch + 1}",
                {"epoch": epoch + 1, "step": self._steps, "examples": self._examples(self._recent, 1)},
            )

    def _examples(self, recent: list[Tensor], age: int) -> list[int]:
        """What a recent step learnt from, in all processes; the latest step has the age 1."""
        own = recent[-age].tolist() if age <= len(recent) else []
        return [example for part in self._world.gather(own) for example in part]

    def _error(self, what: str, facts: dict[str, object]) -> TrainingError:
        skip = " or hparams.on_nan=skip" if self._stops else ""
        return TrainingError(
            f"{what}: a lower learning rate, hparams.grad_clip=1, precision=fp32{skip} may help.",
            not_finite={"role": self._role, **facts},
        )
