"""Networks that the jobs of a sweep need, before anybody has trained them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from distill.experiments.plan import Node


@dataclass(frozen=True)
class Wanted:
    """A network that a job needs.

    Attributes:
        node: Its place in the job's plan.
        parents: The networks that teach it.
        made_of: What determines its weights.
        identity: Its signature.
    """

    node: Node
    parents: tuple[Wanted, ...]
    made_of: dict[str, Any]
    identity: str

    @property
    def name(self) -> str:
        """Its name in the store."""
        return f"{self.node.kept_as}-{self.identity}"

    @property
    def depth(self) -> int:
        """How many must be trained one after the other before it."""
        return 1 + max(parent.depth for parent in self.parents) if self.parents else 0


def count(group: Sequence[Wanted]) -> str:
    """How many of what, such as `16 students mlp-32`."""
    role = group[0].node.role
    return f"{len(group)} {role}{'s' if len(group) > 1 else ''} {group[0].node.model.label()}"


def divide(group: list[Wanted], at_most: int) -> list[list[Wanted]]:
    """As few parts as possible, of nearly equal size."""
    parts = -(-len(group) // at_most)
    cuts = [round(number * len(group) / parts) for number in range(parts + 1)]
    return [group[start:stop] for start, stop in itertools.pairwise(cuts)]


def differences(group: Sequence[Wanted]) -> str:
    """The keys in which they differ, such as `T, alpha differ`."""
    keys = list(_different(group))
    return f"{', '.join(keys)} {'differ' if len(keys) > 1 else 'differs'}"


def _different(group: Sequence[Wanted]) -> Iterator[str]:
    nodes = [each.node for each in group]
    for options in ([vars(node.method) for node in nodes], [vars(node.hparams) for node in nodes]):
        yield from (name for name in options[0] if any(other[name] != options[0][name] for other in options))
    if len({node.model.seed for node in nodes}) > 1:
        yield "seed"
