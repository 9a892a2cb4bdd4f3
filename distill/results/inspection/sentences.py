"""What was found out about a network, in sentences."""

from __future__ import annotations

from distill.results.inspection.answers import Answers
from distill.results.inspection.findings import Findings
from distill.results.inspection.numbers import percent, probability


def opening(found: Findings) -> list[str]:
    """Which networks of which run, and how good they are."""
    networks = [found.answers, *([] if found.other is None else [found.other])]
    reached = ", ".join(f"{one.role} {one.model} {percent(found.reached(one), 2)}" for one in networks)
    lines = [f"{found.run}: {len(found.labels):,} test examples of {found.dataset}; accuracy of {reached}."]
    return [*lines, found.remark] if found.remark else lines


def answered(found: Findings, position: int) -> str:
    """What is true of an example, and what each network says."""
    networks = [found.answers, *([] if found.other is None else [found.other])]
    said = ", ".join(f"{one.role} says {_said(found, one, position)}" for one in networks)
    return f"true class {found.classes[found.label(position)]}; {said}"


def _said(found: Findings, answers: Answers, position: int) -> str:
    number = int(answers.predictions[position])
    return f"{found.classes[number]} ({probability(float(answers.confidence[position]))})"


def of_classes(found: Findings) -> str:
    """What the numbers of the pairs mean."""
    return (
        f"Mean probability at T={found.pair_T:g} that the {found.answers.role} gives class b on test examples of class "
        f"a, and the other way round; a uniform guess gives {percent(1 / len(found.classes), 2)}."
    )


def agreement(found: Findings) -> list[str]:
    """Whether the second network's distribution resembles the first one's, a line each."""
    compared, beside = found.compared, found.beside
    assert compared is not None
    assert beside is not None
    first, second = (one.role for one in compared)
    distances = ", ".join(
        f"{_nats(divergence)} at T={T:g}" for T, divergence in zip(found.temperatures, found.divergences, strict=True)
    )
    return [
        f"Agreement: the {second} says what the {first} says on {percent(beside.agreement, 2)} "
        f"of {len(found.labels):,} test examples.",
        f"Mean KL({first} || {second}), nats: {distances}.",
    ]


def disagreement(found: Findings) -> str:
    """How often two networks disagree, and who is right then."""
    compared, beside = found.compared, found.beside
    assert compared is not None
    assert beside is not None
    first, second = (one.role for one in compared)
    count = len(beside.disagreements)
    if count == 0:
        return f"The {first} and the {second} agree on every test example."
    examples = len(found.labels)
    more = "example" if beside.same_error == 1 else "examples"
    same = f" On {beside.same_error:,} more {more} both make the same mistake." if beside.same_error else ""
    return (
        f"They disagree on {count:,} of {examples:,} test examples ({percent(count / examples)}): the {first} is right "
        f"on {beside.only_first:,} of them, the {second} on {beside.only_second:,}, neither on "
        f"{beside.other_error:,}.{same}"
    )


def _nats(divergence: float) -> str:
    return f"{divergence:.4f}" if divergence >= 0.00005 else f"{divergence:.0e}"
