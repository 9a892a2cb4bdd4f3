"""Which classes a network takes for each other, by its soft targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distill.results.inspection.softened import parts, soften


@dataclass(frozen=True)
class Pair:
    """Two classes and what each one's examples get of the other.

    Attributes:
        first: Class number.
        second: Class number.
        both: Mean of the two probabilities below, or the one that is known.
        forth: Mean probability of `second` on examples of `first`, 0..1; NaN without examples.
        back: Mean probability of `first` on examples of `second`; likewise.
    """

    first: int
    second: int
    both: float
    forth: float
    back: float


def mean_targets(logits: np.ndarray, labels: np.ndarray, T: float) -> np.ndarray:
    """The mean soft target of each class.

    Args:
        logits: `[examples, classes]`.
        labels: `[examples]` true classes.
        T: Temperature, > 0.

    Returns:
        `[true class, class]` mean probability over the examples of the true class, 0..1; NaN for a class without.
    """
    classes = logits.shape[1]
    totals = np.zeros((classes, classes))
    for rows in parts(len(logits)):
        np.add.at(totals, labels[rows], soften(logits[rows], T).probabilities)
    counts = np.bincount(labels, minlength=classes)[:, None]
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)


def symmetrised(targets: np.ndarray) -> np.ndarray:
    """How much two classes are taken for each other, whichever is the true one.

    Args:
        targets: As `mean_targets` gives them.

    Returns:
        `[class, class]` symmetric, 0..1; NaN where neither class has examples, and on the diagonal.
    """
    both = np.stack([targets, targets.T])
    known = ~np.isnan(both)
    counts = known.sum(axis=0)
    total = np.where(known, both, 0.0).sum(axis=0)
    mean = np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)
    np.fill_diagonal(mean, np.nan)
    return mean


def pairs(targets: np.ndarray, most: int = 10) -> list[Pair]:
    """The pairs of classes that are most confusable.

    Args:
        targets: As `mean_targets` gives them.
        most: How many pairs.
    """
    mean = symmetrised(targets)
    above = np.triu_indices(len(mean), k=1)
    values = mean[above]
    order = [place for place in np.argsort(-values, kind="stable") if not np.isnan(values[place])]
    found = [(int(above[0][place]), int(above[1][place])) for place in order[:most]]
    return [Pair(a, b, float(mean[a, b]), float(targets[a, b]), float(targets[b, a])) for a, b in found]
