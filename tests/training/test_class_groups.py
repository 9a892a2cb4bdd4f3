"""Accuracy of frequent and rare classes."""

import pytest

from distill.training.class_groups import group_accuracy


def test_classes_are_ranked_by_training_examples_and_averaged_in_thirds():
    counts = [10, 500, 20, 300, 90, 40]
    accuracy = [0.1, 0.9, 0.3, 0.7, 0.6, 0.4]
    assert group_accuracy(counts, accuracy) == {
        "head": pytest.approx(0.8),
        "mid": pytest.approx(0.5),
        "tail": pytest.approx(0.2),
    }


def test_ten_classes_are_three_four_and_three_and_equal_counts_keep_their_order():
    counts = [100] * 5 + [50] * 5
    assert group_accuracy(counts, [float(number) for number in range(10)]) == {
        "head": pytest.approx((0 + 1 + 2) / 3),
        "mid": pytest.approx((3 + 4 + 5 + 6) / 4),
        "tail": pytest.approx((7 + 8 + 9) / 3),
    }


@pytest.mark.parametrize(("counts", "filled"), [([100, 99, 51], False), ([100, 99, 50], True), ([3, 2, 0], True)])
def test_balanced_sets_have_no_groups(counts, filled):
    assert (group_accuracy(counts, [0.5, 0.5, 0.5])["head"] is not None) == filled


def test_a_class_without_test_examples_is_left_out():
    assert group_accuracy([9, 3, 1], [1.0, None, 0.5]) == {"head": 1.0, "mid": None, "tail": 0.5}
