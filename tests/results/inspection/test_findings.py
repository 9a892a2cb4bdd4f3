"""Which classes are taken for each other, which examples tell most, who is right: on answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from distill.results.inspection.answers import Answers, compare, most_likely
from distill.results.inspection.classes import mean_targets, pairs, symmetrised
from distill.results.inspection.findings import find
from distill.results.inspection.telling import telling


def answering(role: str, rows: list[list[float]]) -> Answers:
    """A network that gives these probabilities at T=1."""
    return Answers(role, "mlp", np.log(np.array(rows)))


LABELS = np.array([0, 0, 1, 1, 2])
TEACHER = answering(
    "teacher",
    [[0.9, 0.06, 0.04], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.35, 0.33, 0.32]],
)
STUDENT = answering(
    "student",
    [[0.8, 0.1, 0.1], [0.1, 0.6, 0.3], [0.05, 0.05, 0.9], [0.6, 0.3, 0.1], [0.3, 0.1, 0.6]],
)


def test_mean_targets_are_means_of_probabilities_over_the_examples_of_a_class():
    targets = mean_targets(TEACHER.logits, LABELS, 1.0)
    np.testing.assert_allclose(targets[0], [0.7, 0.18, 0.12])
    np.testing.assert_allclose(targets[1], [0.4, 0.5, 0.1])
    np.testing.assert_allclose(targets[2], [0.35, 0.33, 0.32])


def test_pairs_are_ranked_by_the_mean_of_both_directions():
    found = pairs(mean_targets(TEACHER.logits, LABELS, 1.0))
    assert [(pair.first, pair.second) for pair in found] == [(0, 1), (0, 2), (1, 2)]
    first = found[0]
    assert (first.both, first.forth, first.back) == pytest.approx((0.29, 0.18, 0.4))
    assert found[1].both == pytest.approx((0.12 + 0.35) / 2)


def test_a_class_without_examples_is_judged_by_those_of_the_other_class():
    targets = mean_targets(TEACHER.logits[:4], LABELS[:4], 1.0)
    assert np.isnan(targets[2]).all()
    alike = symmetrised(targets)
    assert alike[0, 2] == alike[2, 0] == pytest.approx(0.12)
    assert np.isnan(np.diag(alike)).all()
    only = pairs(mean_targets(np.zeros((1, 4)), np.array([3]), 1.0))
    assert {(pair.first, pair.second) for pair in only} == {(0, 3), (1, 3), (2, 3)}  # of the others nothing is known


def test_who_is_right_is_counted_and_sure_disagreements_come_first():
    beside = compare(TEACHER, STUDENT, LABELS)
    assert beside.agreement == pytest.approx(2 / 5)
    assert (beside.both_right, beside.only_first, beside.only_second) == (1, 2, 1)
    assert (beside.same_error, beside.other_error) == (1, 0)
    # The less sure of both: 0.5 on example 1, 0.8 on 2, 0.35 on 4.
    assert beside.disagreements.tolist() == [2, 1, 4]


def test_telling_examples_say_why_and_none_is_shown_twice():
    beside = compare(TEACHER, STUDENT, LABELS)
    chosen = telling(TEACHER, LABELS, 4, STUDENT, beside)
    assert [(example.position, example.reason) for example in chosen] == [
        (3, "its surest mistake"),
        (1, "its least sure right answer"),
        (4, "its highest entropy"),
        (2, "teacher and student disagree, both sure"),
    ]
    everything = telling(TEACHER, LABELS, 24, STUDENT, beside)
    assert sorted(example.position for example in everything) == [0, 1, 2, 3, 4]
    assert everything[4].reason == "a right answer, barely"


def test_a_network_without_mistakes_shows_other_examples():
    right = answering("teacher", [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    chosen = telling(right, np.array([0, 0, 1]), 2)
    assert [(example.position, example.reason) for example in chosen] == [
        (1, "its least sure right answer"),
        (2, "high entropy"),
    ]


def test_classes_shown_hold_what_is_true_and_what_is_said_however_unlikely():
    assert most_likely([5, 2, 7, 1, 0], [0, 5], 3) == [5, 2, 0]
    assert most_likely([1, 0], [1], 5) == [1, 0]


def test_divergence_is_taken_from_the_teacher_whichever_network_is_looked_at():
    def looked(one: Answers, other: Answers):
        return find("run", "digits", "abc", LABELS, one, other, temperatures=[1.0, 2.0], positions=[3])

    taught = looked(STUDENT, TEACHER)
    assert taught.divergences == pytest.approx(looked(TEACHER, STUDENT).divergences)
    p, q = np.exp(TEACHER.logits), np.exp(STUDENT.logits)
    assert taught.divergences[0] == pytest.approx((p * np.log(p / q)).sum(axis=1).mean())
    assert [example.position for example in taught.examples] == [3]


@pytest.mark.parametrize(("taught_at", "expected"), [(10.0, 10.0), (4.0, 3.0), (None, 3.0)])
def test_classes_are_compared_at_the_methods_temperature_if_it_is_shown(taught_at, expected):
    found = find("run", "digits", "abc", LABELS, TEACHER, None, temperatures=[10.0, 1.0, 3.0], taught_at=taught_at)
    assert found.pair_T == expected
    assert found.beside is None
    assert found.divergences == []
