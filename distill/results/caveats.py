"""What stands in the way of a conclusion: too few seeds, no validation examples, a small test set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distill.results.statistics import LEVEL, SEEDS, p_shown, smallest_p
from distill.results.verdict import examples_tested, sampling_error

if TYPE_CHECKING:
    from distill.results.study import Group, Study


def covered(settings: Sequence[Group]) -> list[Group]:
    """The settings with more than half as many seeds as the one with most: of few seeds, luck makes the best."""
    most = max(group.accuracy.n for group in settings)
    return [group for group in settings if 2 * group.accuracy.n > most]


def underpowered(found: Study) -> str | None:
    """Why no p-value of a study that has a winner can come below .05; `None` where one can."""
    assert found.winner is not None
    # The first comparison is the winner's with the next best.
    n = found.comparisons[0].difference.n if found.comparisons else found.winner.accuracy.n
    least = min(1.0, smallest_p(n))
    if n < SEEDS:
        return f"underpowered (n={n}: smallest possible p is {p_shown(least)})"
    if not found.by_method:
        return None  # the seeds of all settings are flipped together
    least = min(1.0, least * found.compared)
    if least <= LEVEL:
        return None
    enough = 1 + math.ceil(math.log2(found.compared / LEVEL))
    return (
        f"underpowered (n={n}: smallest possible p is {p_shown(least)} once corrected for {found.compared} "
        f"comparisons; {enough} seeds would do)"
    )


def warnings(found: Study, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each thing that stands in the way of a conclusion.

    Args:
        found: A study, its winner chosen.
        runs: The runs' metadata (`run.json`), for the size of the test set.
    """
    if found.winner is None:
        return []
    said = []
    if found.tried > 1 and not found.by_validation:
        some = any(group.val_accuracy for group in found.students)
        missing = "Some settings have no validation split" if some else "There is no validation split"
        said.append(
            f"{missing}: the best of {found.tried} settings was chosen on test numbers, which "
            "flatters it; hold examples out with dataset.val_fraction=0.2."
        )
    counts = [group.accuracy.n for group in found.students]
    if min(counts) < max(counts):
        few = len(counts) - len(found.eligible)
        no_choice = f"; {few} with {max(counts) // 2} or fewer had no part in the choice" if few else ""
        said.append(f"Settings have {min(counts)} to {max(counts)} seeds{no_choice}.")
    again = [label for label, count in Counter(group.label for group in found.students).items() if count > 1]
    if again:
        others = f" and {len(again) - 1} other settings" if len(again) > 1 else ""
        said.append(
            f"{again[0]}{others}: several networks have the same seed and differ in something that no key tells."
        )
    for comparison in found.comparisons[:1]:
        pairs, most = comparison.difference.n, min(comparison.first.accuracy.n, comparison.second.accuracy.n)
        if pairs < most:
            said.append(
                f"{comparison.first.label} and {comparison.second.label} have {pairs} of {most} seeds in common."
            )
    if any((group.rows["method"] == "qat").any() for group in found.students):
        said.append(
            "Latencies of int8 networks (ptq, student) are those of PyTorch, which rounds to integers and computes in "
            "fp32; `distill export RUN --role student` measures a file for runtimes that compute in integers."
        )
    return said + _sampling(found, runs)


def _sampling(found: Study, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Seeds tell of other trainings; of other test examples they tell nothing."""
    tests = examples_tested(runs, found.measure)
    if not tests or not found.several_seeds or not found.comparisons:
        return []
    comparison = found.comparisons[0]
    error, gap = sampling_error(comparison.first.accuracy.mean, tests), abs(comparison.difference.mean)
    if not 0 < gap < 100 * error:
        return []
    return [
        f"A difference of {gap:.2f} points is less than the sampling error of {tests:,} test examples "
        f"(± {100 * error:.2f} points): with other examples it may be another."
    ]
