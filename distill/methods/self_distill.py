"""A network that teaches itself: Zhang et al. 2019, "Be Your Own Teacher".

https://arxiv.org/abs/1905.08094, section 3: each stage gets an exit, a bottleneck and a classifier, which learns from
the labels, from the logits of the deepest classifier, and, by its hidden layer, from the deepest features. Exits help
the network to learn, and are no part of what is exported.

The deepest classifier counts in full, as in the first author's code; a popular other one gives it `1 - alpha` too. That
code takes the distance of the features of a whole batch, which grows with the batch; here it is the paper's squared
distance, mean over the examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.config.options import Fraction, NonNegative, Positive
from distill.errors import ConfigError
from distill.methods.adapters import layers, pooled
from distill.methods.base import main_labels, methods
from distill.methods.exits import channels, make_exit
from distill.methods.soft_targets import AlphaOptions, LogitMethod, soft_target_loss
from distill.types import Batch, Output


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance between features, mean over the batch, in fp32; without gradient for the teacher's.

    Args:
        student: `[batch, width]`.
        teacher: Likewise.
    """
    return (student.float() - teacher.detach().float()).square().sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class SelfDistillOptions(AlphaOptions):
    """Options of `self_distill`.

    Attributes:
        hint_weight: Of the distance to the deepest features.
    """

    name: str = "self_distill"
    T: Positive = 3.0
    alpha: Fraction = 0.3
    hint_weight: NonNegative = 0.03


@methods.register("self_distill", SelfDistillOptions)
class SelfDistill(LogitMethod):
    """`cross_entropy + sum over exits of (1 - alpha) * cross_entropy + alpha * T^2 * KL + hint_weight * hint`."""

    taps = frozenset({"features"})
    uses_teacher = False
    unlabelled = True
    smallest_batch = 2  # exits have batch norm
    options: SelfDistillOptions
    exits: nn.ModuleList

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes an exit for each stage but the last.

        Raises:
            ConfigError: There are no stages below the last.
        """
        *shallow, deepest = layers(student.features, "student", "self_distill")
        if not shallow:
            raise ConfigError(
                "method=self_distill lets the deepest stage of the student teach those before it, and this student is "
                "read at one: choose a deeper student, such as model@student=mlp_256_256_128 or resnet8, or name two "
                "modules or more in student.features."
            )
        self.exits = nn.ModuleList(
            make_exit(stage, len(shallow) - number, channels(deepest), student.logits.shape[1])
            for number, stage in enumerate(shallow)
        )

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hard`, `hard.exits`, `soft` and `hint`; the accuracy of each exit is observed."""
        *shallow, deepest = student.features
        labels, goal = main_labels(batch), Output(student.logits.detach())
        hard, soft, hint = [], [], []
        for number, (feature, own) in enumerate(zip(shallow, self.exits, strict=True), start=1):
            assert isinstance(own, nn.Sequential)
            hidden = own[:-1](feature)
            logits = own[-1](hidden)
            hard.append(self.hard_loss(logits, batch))
            soft.append(soft_target_loss(*self.compared(Output(logits), goal), self.T))
            hint.append(hint_loss(hidden, pooled(deepest)))
            if self.hard_labels is None or not self.hard_labels.partial:  # of hidden labels nobody knows
                self.observe(f"exit_{number}_accuracy", (logits.argmax(dim=1) == labels).float().mean())
        return {
            "hard": self.hard_loss(student.logits, batch),
            "hard.exits": (1 - self.alpha) * torch.stack(hard).sum(),
            "soft": self.alpha * torch.stack(soft).sum(),
            "hint": self.options.hint_weight * torch.stack(hint).sum(),
        }
