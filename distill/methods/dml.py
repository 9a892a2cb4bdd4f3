"""Mutual learning: Zhang, Xiang, Hospedales, Lu 2018, "Deep Mutual Learning".

https://arxiv.org/abs/1706.00384, equation 8: the divergences from the peers are averaged. The authors' code sums
them, which is the same for two networks, and guards its logarithms with 1e-8, which log-softmax does not need. All
peers learn in one step, from each other's answers to the same batch; the authors take turns within it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distill.config.options import Count
from distill.errors import ConfigError
from distill.methods.ban import SEED_STEP
from distill.methods.base import Method, MethodOptions, methods
from distill.methods.joint import part_of, trained_as_one
from distill.methods.soft_targets import soft_target_loss
from distill.types import Batch, Output

if TYPE_CHECKING:
    from distill.methods.nodes import Cast, Node


def mutual_loss(logits: Tensor, peers: Sequence[Tensor]) -> Tensor:
    """`1 / (K - 1) * sum_l KL(peer_l || network)` at T = 1, mean over the batch, in fp32.

    Zero where all agree up to a constant per example. It has no gradient with respect to the peers.

    Args:
        logits: `[batch, classes]`, of the network that learns.
        peers: `[batch, classes]` each, of the K - 1 others; at least one.

    Raises:
        ConfigError: The number of classes differs.
    """
    return torch.stack([soft_target_loss(logits, peer.detach(), 1.0) for peer in peers]).mean()


@dataclass(frozen=True, kw_only=True)
class DmlOptions(MethodOptions):
    """Options of `dml`.

    Attributes:
        peers: How many networks there are, the student among them.
        networks: The other peers: names of `conf/model`, or mappings; none takes the student's network.
    """

    name: str = "dml"
    peers: Count = 2
    networks: list[str | dict[str, Any]] = field(default_factory=list)

    def check(self) -> Iterable[str]:
        """There are two or more, and all of them are named, or none."""
        yield from super().check()
        if self.peers < 2:
            yield f"peers={self.peers} is not allowed: a network has nobody to learn from; give 2 or more."
        elif self.networks and len(self.networks) != self.peers - 1:
            yield (
                f"networks={self.networks} is not allowed with peers={self.peers}: the first peer is model@student, so "
                f"name {self.peers - 1} more, or give peers={len(self.networks) + 1}."
            )


@methods.register("dml", DmlOptions)
class Dml(Method):
    """`cross_entropy + mean of KL(peer || network)`, for each of the networks."""

    taps = frozenset({"heads"})
    uses_teacher = False
    unlabelled = True
    options: DmlOptions

    @classmethod
    def plan(cls, options: DmlOptions, cast: Cast) -> list[Node]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Baseline, all peers answering together, and each of them.

        Raises:
            ConfigError: A peer is no network.
        """
        own = cast.student.model
        others = [
            cast.network("method.networks", named, own.seed + SEED_STEP * number)
            for number, named in enumerate(options.networks, start=1)
        ] or [replace(own, seed=own.seed + SEED_STEP * number) for number in range(1, options.peers)]
        models = (own, *others)
        if not all(model.train for model in models):
            raise ConfigError("train=false is not allowed with method=dml, whose networks learn from each other.")
        peers = trained_as_one(cast.student, "peers", models, row=True)
        parts = [
            part_of(peers, role, model, f"networks.{number}")
            for number, (role, model) in enumerate(zip(_roles(len(models)), models, strict=True))
        ]
        return [cast.baseline, peers, *parts]

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `hard.ROLE` and `mutual.ROLE` of each peer."""
        found = {}
        for number, role in enumerate(_roles(len(student.heads))):
            logits = student.heads[number]
            found[f"hard.{role}"] = self.hard_loss(logits, batch)
            found[f"mutual.{role}"] = mutual_loss(logits, student.heads[:number] + student.heads[number + 1 :])
        return found


def _roles(count: int) -> list[str]:
    return ["student", *(f"peer_{number}" for number in range(2, count + 1))]
