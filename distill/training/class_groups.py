"""Classes with many, some and few training examples: what is rare in training is where accuracy is lost first."""

from __future__ import annotations

from collections.abc import Sequence

GROUPS = ("head", "mid", "tail")
# Below this, the largest class is not large enough for the order of the classes to mean anything.
_UNBALANCED_FROM = 2


def group_accuracy(counts: Sequence[int], class_accuracy: Sequence[float | None]) -> dict[str, float | None]:
    """Mean accuracy of the classes in each third, by how many training examples they have.

    Args:
        counts: Training examples of each class; of equal ones the first ranks higher.
        class_accuracy: Accuracy on each class, 0..1; `None` for one that was not tested.

    Returns:
        `head`, `mid` and `tail`, 0..1; all `None` unless the largest class has twice the examples of the smallest.
    """
    if max(counts) < _UNBALANCED_FROM * min(counts):
        return dict.fromkeys(GROUPS)
    ranked = sorted(range(len(counts)), key=lambda number: -counts[number])
    cuts = [round(third * len(ranked) / len(GROUPS)) for third in range(len(GROUPS) + 1)]
    found: dict[str, float | None] = {}
    for group, first, stop in zip(GROUPS, cuts, cuts[1:], strict=False):
        known = [share for number in ranked[first:stop] if (share := class_accuracy[number]) is not None]
        found[group] = sum(known) / len(known) if known else None
    return found
