"""Which examples a teacher's own labels are taken for, and how right those are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def chosen(confidence: Tensor, hidden: Tensor, threshold: float) -> Tensor:
    """`[examples]` bool: those without a label that the teacher is sure enough of.

    Args:
        confidence: `[examples]` probability of the teacher's most likely class, 0..1, fp32.
        hidden: `[examples]` bool, which have no label.
        threshold: From which on; with 1 there are none, though rounding may make a probability 1.
    """
    return hidden & (confidence >= threshold) & (threshold < 1)


def told_of(told: Tensor, joins: Tensor, hidden: Tensor, truth: Tensor | None) -> dict[str, Any]:
    """What is reported of pseudo-labels; nothing is learnt from it.

    Args:
        told: `[examples]` the teacher's labels.
        joins: `[examples]` bool, which ones were taken.
        hidden: `[examples]` bool, which ones had no label.
        truth: `[examples]` what the labels would have been; `None` where nobody knows.

    Returns:
        `unlabelled` and `joined`, numbers of examples; `share` that joined; `precision`, the share of those whose label
        is right, and `precision_of_all`, what it would be without a threshold, 0..1; `by_class`, for each class number
        that was told `joined` and `precision`. A share of nothing is `None`.
    """
    unlabelled, joined = int(hidden.sum()), int(joins.sum())
    found: dict[str, Any] = {"unlabelled": unlabelled, "joined": joined, "share": _share(joined, unlabelled)}
    if truth is None:
        return found
    told, joins, hidden = told.cpu(), joins.cpu(), hidden.cpu()
    right = told == truth.cpu()
    by_class = {
        str(label): {"joined": int(own.sum()), "precision": _share(int((right & own).sum()), int(own.sum()))}
        for label in told[joins].unique().tolist()
        if (own := joins & (told == label)) is not None
    }
    return {
        **found,
        "precision": _share(int((right & joins).sum()), joined),
        "precision_of_all": _share(int((right & hidden).sum()), unlabelled),
        "by_class": by_class,
    }


def sentence(found: Mapping[str, Any]) -> str:
    """What `told_of` found, in words."""
    joined, unlabelled = found["joined"], found["unlabelled"]
    if not joined:
        return f"none of {unlabelled:,} unlabelled examples joined"
    right = f", {found['precision']:.1%} of them with the right label" if "precision" in found else ""
    return f"{joined:,} of {unlabelled:,} unlabelled examples joined ({found['share']:.1%}){right}"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
