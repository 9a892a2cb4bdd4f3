"""How far a student answers what its teacher answers, against numpy and by hand."""

import math

import numpy as np
import pytest
import torch

from distill.training import in_parts
from distill.training.fidelity import fidelity


def test_the_divergence_is_that_of_the_student_from_the_teacher():
    # KL((3/4, 1/4) || (1/2, 1/2)); the other way round would be .1438.
    found = fidelity(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), torch.tensor([0]))
    assert found.kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_many_examples_are_averaged_whatever_fits_at_once(monkeypatch):
    monkeypatch.setattr(in_parts, "_NUMBERS_AT_ONCE", 7)
    random = np.random.default_rng(2)
    student, teacher = random.normal(0, 4, (2, 30, 5))

    def shares(logits: np.ndarray) -> np.ndarray:
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    expected = (shares(teacher) * np.log(shares(teacher) / shares(student))).sum(axis=1).mean()
    found = fidelity(torch.tensor(student), torch.tensor(teacher), torch.zeros(30).long())
    assert found.kl == pytest.approx(expected)
    assert found.agreement == (student.argmax(axis=1) == teacher.argmax(axis=1)).mean()


def test_agreement_where_the_teacher_is_wrong_counts_those_examples_alone():
    teacher, student, labels = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 0, 0])
    found = fidelity(torch.eye(3)[student], torch.eye(3)[teacher], labels)
    assert found.agreement == 3 / 4
    assert found.agreement_wrong == pytest.approx(2 / 3)


def test_a_teacher_that_is_never_wrong_leaves_nothing_to_agree_on():
    found = fidelity(torch.eye(2), torch.eye(2), torch.tensor([0, 1]))
    assert (found.agreement, found.kl, found.agreement_wrong) == (1.0, 0.0, None)


def test_huge_logits_overflow_nowhere():
    found = fidelity(torch.tensor([[1e4, 0.0]]), torch.tensor([[0.0, 1e4]]), torch.tensor([0]))
    assert found.kl == pytest.approx(1e4)
