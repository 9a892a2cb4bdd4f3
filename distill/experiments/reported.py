"""What a run reports of its networks: rows of the results table, and what has no place in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill.data.tasks import forgetting
from distill.experiments.assembly import Obtained
from distill.experiments.plan import Node
from distill.methods.nodes import WHOLE
from distill.results.columns import COLUMNS
from distill.results.measures import ACCURACY, R2
from distill.results.rows import Row, complete
from distill.training.measure import DETAILS, FOUND


def taught(node: Node) -> Row:
    """The columns that say how a network was taught."""
    method = node.method
    return {
        "role": node.role,
        "method": node.step_of or method.name,
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
        if not one.node.row:
            continue
        record = one.artifact.record
        found.append(
            {
                "run": run,
                **taught(one.node),
                "model": record.model,
                "dataset": dataset if one.node.data == WHOLE else record.dataset,
                "seed": seed,
                "status": "finished",
                **{key: value for key, value in record.measures.items() if key in COLUMNS},
                **fidelity[one.node.role],
                "forgetting": _forgotten(one),
                "adapters": record.adapters,
                "seconds": record.seconds,
                "reused": one.reused,
                "signature": record.signature,
            }
        )
    return complete(found)


def _forgotten(one: Obtained) -> float | None:
    """Points that a network lost on earlier tasks since it learned each of them."""
    now = one.artifact.record.measures.get("task_accuracy")
    if now is None or one.node.start is None:
        return None
    learned: list[float] = []
    chain: Obtained | None = one
    while chain is not None:
        learned.insert(0, chain.artifact.record.measures["task_accuracy"][-1])
        chain = next((parent for parent in chain.parents if parent.node.role == chain.node.start), None)
    lost = forgetting(learned, now)
    return None if lost is None else 100 * lost


def history(obtained: Sequence[Obtained]) -> list[Row]:
    """What each epoch of the networks gave; one out of the store may have had another role where it was trained."""
    return [{**row, "role": one.node.role} for one in obtained for row in one.artifact.record.history]


def held_out(obtained: Sequence[Obtained]) -> Row:
    """The student's accuracy (R2 of a regression) on validation examples: what hyperparameters may be chosen by."""
    measures = next((one.artifact.record.measures for one in obtained if one.node.role == "student"), {})
    names = [measure.held_out for measure in (ACCURACY, R2)]
    return {name: measures.get(name) for name in names if name in measures or name == ACCURACY.held_out}


def details(obtained: Sequence[Obtained]) -> dict[str, Any]:
    """What was measured of each network and has no place in a table."""
    return {one.node.role: {name: one.artifact.record.measures[name] for name in _measured(one)} for one in obtained}


def _measured(one: Obtained) -> list[str]:
    return [name for name in (*DETAILS, *FOUND) if name in one.artifact.record.measures]  # of a regression none


def by_role(obtained: Sequence[Obtained], name: str) -> dict[str, Any]:
    """One measure of each network, where it has it."""
    measured = {one.node.role: one.artifact.record.measures.get(name) for one in obtained}
    return {role: value for role, value in measured.items() if value is not None}
