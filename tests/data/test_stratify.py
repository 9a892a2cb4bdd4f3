import pytest
import torch

from distill.data import Split, limit
from distill.data.stratify import divide, shares, stratified
from distill.seeds import generator


def labels_of(*counts: int) -> torch.Tensor:
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    return labels[torch.randperm(len(labels), generator=generator(0, "test"))]


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ((50, 30, 20), 10, [5, 3, 2]),
        ((47, 33, 20), 10, [5, 3, 2]),  # quotas 4.7, 3.3, 2.0
        ((1, 1, 1), 2, [1, 1, 0]),  # equal remainders: the lower number first
        ((0, 4, 4), 3, [0, 2, 1]),
        ((7, 2), 9, [7, 2]),
        ((7, 2), 0, [0, 0]),
    ],
)
def test_shares_follow_the_largest_remainder(counts, total, expected):
    assert shares(labels_of(*counts), total).tolist() == expected


def test_a_stratified_subset_has_those_shares_in_ascending_order_without_repeats():
    labels = labels_of(60, 30, 10)
    positions = stratified(labels, 20, generator(1, "x"))
    assert torch.bincount(labels[positions]).tolist() == [12, 6, 2]
    assert positions.tolist() == sorted(set(positions.tolist()))


def test_which_examples_are_drawn_depends_on_the_seed_alone():
    labels = labels_of(60, 30, 10)
    assert torch.equal(stratified(labels, 20, generator(1, "x")), stratified(labels, 20, generator(1, "x")))
    assert not torch.equal(stratified(labels, 20, generator(1, "x")), stratified(labels, 20, generator(2, "x")))


def test_dividing_loses_nothing_and_shares_nothing():
    stays, apart = divide(labels_of(13, 8), 7, generator(0, "x"))
    assert sorted(stays.tolist() + apart.tolist()) == list(range(21))
    assert len(apart) == 7


def test_limit_keeps_inputs_with_their_labels():
    labels = labels_of(30, 10)
    limited = limit(Split(labels[:, None].float(), labels), 8, seed=0)
    assert torch.bincount(limited.labels).tolist() == [6, 2]
    assert limited.tensor.flatten().tolist() == limited.labels.tolist()


def test_limit_beyond_the_size_changes_nothing():
    split = Split(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
    assert limit(split, 4, seed=0) is split
