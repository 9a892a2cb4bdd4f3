"""What a run reports of its networks: rows of the results table, and what has no place in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill.experiments.assembly import Obtained
from distill.experiments.plan import Node
from distill.results.columns import COLUMNS
from distill.results.rows import Row, complete
from distill.training.measure import DETAILS


def taught(node: Node) -> Row:
    """The columns that say how a network was taught."""
    method = node.method
    return {
        "role": node.role,
        "method": method.name,
        # A temperature that softens nothing is not worth a column.
        "T": getattr(method, "T", None) if getattr(method, "soft_weight", 1) else None,
        "alpha": getattr(method, "alpha", None),
    }


def rows(
    run: str, dataset: str, seed: int, obtained: Sequence[Obtained], fidelity: Mapping[str, Mapping[str, float | None]]
) -> list[Row]:
    """A row per network.

    Args:
        run: Name of the run.
        dataset: Name of the data set.
        seed: Of the run.
        obtained: The networks.
        fidelity: Columns that compare each role with the teacher.
    """
    found = []
    for one in obtained:
        record = one.artifact.record
        found.append(
            {
                "run": run,
                **taught(one.node),
                "model": record.model,
                "dataset": dataset,
                "seed": seed,
                "status": "finished",
                **{key: value for key, value in record.measures.items() if key in COLUMNS},
                **fidelity[one.node.role],
                "adapters": record.adapters,
                "seconds": record.seconds,
                "reused": one.reused,
                "signature": record.signature,
            }
        )
    return complete(found)


def val_accuracy(obtained: Sequence[Obtained]) -> float | None:
    """Of the student with the weights that are kept, 0..1: what hyperparameters may be chosen by."""
    found = (one.artifact.record.measures["val_accuracy"] for one in obtained if one.node.role == "student")
    return next(found, None)


def details(obtained: Sequence[Obtained]) -> dict[str, Any]:
    """What was measured of each network and has no place in a table."""
    return {one.node.role: {name: one.artifact.record.measures[name] for name in DETAILS} for one in obtained}


def by_role(obtained: Sequence[Obtained], name: str) -> dict[str, Any]:
    """One measure of each network, where it has it."""
    measured = {one.node.role: one.artifact.record.measures.get(name) for one in obtained}
    return {role: value for role, value in measured.items() if value is not None}
