"""All that was found out about a network of a run, before it is shown anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distill.results.inspection.answers import Answers, Beside, compare, most_likely
from distill.results.inspection.classes import Pair, mean_targets, pairs
from distill.results.inspection.softened import Softened, divergence, soften
from distill.results.inspection.telling import Example, telling


@dataclass(frozen=True)
class Findings:
    """What a network knows, and how another one beside it compares.

    Attributes:
        run: Folder of the run, as the user gave it.
        dataset: Name of the data set.
        classes: Name of each class.
        labels: `[examples]` true classes of the test set.
        temperatures: In the order in which they are shown.
        answers: Of the network that is looked at.
        other: Of the network beside it.
        beside: How both compare, the teacher or else the network looked at being the first.
        remark: Why it is these two, where one might expect others; else empty.
        examples: Those that are shown.
        pair_T: Temperature of `targets` and `pairs`.
        targets: `[true class, class]` mean soft targets.
        pairs: The most confusable classes.
        divergences: Mean KL(first || second) at each temperature, nats.
    """

    run: str
    dataset: str
    classes: Sequence[str]
    labels: np.ndarray
    temperatures: Sequence[float]
    answers: Answers
    other: Answers | None
    beside: Beside | None
    remark: str
    examples: Sequence[Example]
    pair_T: float
    targets: np.ndarray
    pairs: Sequence[Pair]
    divergences: Sequence[float]

    @property
    def compared(self) -> tuple[Answers, Answers] | None:
        """The first and the second network of `beside`."""
        return None if self.other is None else in_order(self.answers, self.other)

    def softened(self, position: int, answers: Answers | None = None) -> list[Softened]:
        """One test example's distribution at each temperature."""
        logits = (answers or self.answers).logits[position]
        return [soften(logits, T) for T in self.temperatures]

    def classes_shown(self, position: int, most: int) -> list[int]:
        """The classes to show of one example, the most likely first: what is true and what is said are among them."""
        order = np.argsort(-self.answers.logits[position], kind="stable").tolist()
        said = [] if self.other is None else [int(self.other.predictions[position])]
        return most_likely(order, [self.label(position), order[0], *said], most)

    def label(self, position: int) -> int:
        """The true class of a test example."""
        return int(self.labels[position])

    def reached(self, answers: Answers) -> float:
        """Accuracy, 0..1."""
        return float((answers.predictions == self.labels).mean())


def in_order(one: Answers, two: Answers) -> tuple[Answers, Answers]:
    """The teacher first: a KL divergence has a direction."""
    return (two, one) if two.role == "teacher" else (one, two)


def find(
    run: str,
    dataset: str,
    classes: Sequence[str],
    labels: np.ndarray,
    answers: Answers,
    other: Answers | None,
    *,
    temperatures: Sequence[float],
    taught_at: float | None = None,
    positions: Sequence[int] | None = None,
    count: int = 4,
    remark: str = "",
) -> Findings:
    """Looks at a network's answers.

    Args:
        run: Folder of the run, as the user gave it.
        dataset: Name of the data set.
        classes: Name of each class.
        labels: `[examples]` true classes of the test set.
        answers: Of the network that is looked at.
        other: Of a network to compare it with.
        temperatures: To soften at.
        taught_at: The temperature of the run's method; classes are compared at it where it is among `temperatures`,
            else at the one in their middle.
        positions: Of the examples to show; `None` chooses telling ones.
        count: How many to choose.
        remark: As in `Findings`.
    """
    compared = None if other is None else in_order(answers, other)
    beside = None if compared is None else compare(*compared, labels)
    if positions is None:
        examples = telling(answers, labels, count, other, beside)
    else:
        examples = [Example(position, "asked for") for position in positions]
    pair_T = taught_at if taught_at in temperatures else sorted(temperatures)[(len(temperatures) - 1) // 2]
    assert pair_T is not None
    targets = mean_targets(answers.logits, labels, pair_T)
    return Findings(
        run=run,
        dataset=dataset,
        classes=classes,
        labels=labels,
        temperatures=temperatures,
        answers=answers,
        other=other,
        beside=beside,
        remark=remark,
        examples=examples,
        pair_T=pair_T,
        targets=targets,
        pairs=pairs(targets),
        divergences=[]
        if compared is None
        else [divergence(compared[0].logits, compared[1].logits, T) for T in temperatures],
    )
