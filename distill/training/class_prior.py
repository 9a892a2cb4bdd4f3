"""Classes that a network never saw an example of, and the bias that it lacks for them.

Hinton, Vinyals, Dean 2015, https://arxiv.org/abs/1503.02531, section 3: a student that never saw a 3 knows threes from
its soft targets, and calls too few pictures so. Raising the bias of what it never saw puts that right.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

_HALVINGS = 100


@dataclass(frozen=True)
class Unseen:
    """Classes of which the teacher saw examples and another network did not.

    Attributes:
        classes: `[classes]` bool, which ones.
        share: Of them among the labels that the teacher learned from, 0..1.
    """

    classes: Tensor
    share: float


@dataclass(frozen=True)
class Shifted:
    """How a network does when the logits of all unseen classes are raised by one number.

    Attributes:
        shift: That number.
        accuracy: Share of the test examples classified right, 0..1.
        errors: Test examples classified wrong.
        unseen_errors: Of those, how many are of unseen classes.
    """

    shift: float
    accuracy: float
    errors: int
    unseen_errors: int


def unseen(learned: Tensor, known: Tensor, classes: int) -> Unseen | None:
    """What one network never saw of what another did.

    Args:
        learned: `[examples]` labels that it learned from.
        known: `[examples]` labels that the teacher learned from.
        classes: How many classes there are.

    Returns:
        The unseen classes; `None` where there is none.
    """
    counts = torch.bincount(known.cpu(), minlength=classes)
    missing = (torch.bincount(learned[learned >= 0].cpu(), minlength=classes) == 0) & (counts > 0)
    return Unseen(missing, counts[missing].sum().item() / len(known)) if missing.any() else None


def corrected(logits: Tensor, labels: Tensor, lacks: Unseen) -> dict[str, Any]:
    """How a network does with its bias for unseen classes put right.

    Args:
        logits: `[examples, classes]`, of the test examples.
        labels: `[examples]` int64.
        lacks: The unseen classes.

    Returns:
        `classes`, the unseen ones; `share`, as in `Unseen`; `prior` and `oracle`, a `Shifted` each as a mapping:
        by the shift that needs no label, and by the best one on the test labels, which nobody would know.
    """
    logits, labels = logits.cpu().double(), labels.cpu()
    shifts = {
        "prior": prior_shift(logits, lacks.classes, lacks.share),
        "oracle": oracle_shift(logits, labels, lacks.classes),
    }
    return {
        "classes": lacks.classes.nonzero().flatten().tolist(),
        "share": lacks.share,
        **{name: asdict(_shifted(logits, labels, lacks.classes, shift)) for name, shift in shifts.items()},
    }


def prior_shift(logits: Tensor, classes: Tensor, share: float) -> float:
    """The shift with which the mean predicted probability of some classes, as a whole, is a given share.

    Args:
        logits: `[examples, classes]` float64.
        classes: `[classes]` bool, those whose logits are raised.
        share: 0..1, without the ends.
    """
    # A shift s makes their probability sigmoid(odds + s).
    odds = logits[:, classes].logsumexp(dim=1) - logits[:, ~classes].logsumexp(dim=1)
    wanted = torch.tensor(share, dtype=torch.float64).logit()
    low, high = (wanted - odds.max()).item(), (wanted - odds.min()).item()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (odds + middle).sigmoid().mean().item() < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def oracle_shift(logits: Tensor, labels: Tensor, classes: Tensor) -> float:
    """The shift of some classes' logits with the fewest errors; of several one near zero.

    Args:
        logits: `[examples, classes]` float64.
        labels: `[examples]` int64.
        classes: `[classes]` bool, those whose logits are raised.
    """
    best, theirs = logits.masked_fill(~classes, -torch.inf).max(dim=1)
    other, others = logits.masked_fill(classes, -torch.inf).max(dim=1)
    turns, order = (other - best).sort()  # the shift from which on an example is taken for one of these classes
    gained = (theirs == labels)[order].long() - (others == labels)[order].long()
    right = torch.cat([gained.new_zeros(1), gained.cumsum(dim=0)])
    below = torch.cat([turns.new_full((1,), -torch.inf), turns])
    above = torch.cat([turns, turns.new_full((1,), torch.inf)])
    reached = torch.where(below < above, right, right.min() - 1)  # between two equal turns there is no shift
    # No shift at all where that is as good, else one as far from both turns as can be.
    middle = (below.maximum(turns[:1] - 1) + above.minimum(turns[-1:] + 1)) / 2
    nearest = torch.where((below < 0) & (above > 0), torch.zeros_like(middle), middle)
    return min(nearest[reached == reached.max()].tolist(), key=abs)


def _shifted(logits: Tensor, labels: Tensor, classes: Tensor, shift: float) -> Shifted:
    wrong = (logits + shift * classes.double()).argmax(dim=1) != labels
    errors = int(wrong.sum())
    return Shifted(shift, (len(labels) - errors) / len(labels), errors, int((wrong & classes[labels]).sum()))
