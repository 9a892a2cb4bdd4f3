import math

import pytest
import torch

from distill.config.options import read
from distill.data import Augmentation, Batches, Normalization, Split, load
from distill.data.long_tail import long_tail, sizes
from distill.data.sampling import balanced
from distill.data.sources.digits import DigitsOptions
from distill.errors import ConfigError
from distill.seeds import generator

PLAIN = Normalization(torch.zeros(1), torch.ones(1))


def of_classes(*counts: int) -> Split:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return Split(torch.arange(len(labels)).float()[:, None], labels)


def counts(labels: torch.Tensor) -> list[int]:
    return torch.bincount(labels).tolist()


def test_a_long_tail_of_cifar_has_the_sizes_of_the_literature():
    # As Cao et al. 2019 (LDAM) and those after them report CIFAR-10-LT and CIFAR-100-LT with an imbalance of 100.
    ten = sizes(torch.full((10,), 5000), 100)
    assert ten.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    hundred = sizes(torch.full((100,), 500), 100)
    assert (int(hundred.sum()), int(hundred[0]), int(hundred[-1])) == (10847, 500, 5)


def test_a_small_class_shrinks_the_tail_and_keeps_its_shape():
    # Classes 1 and 2 may have 1/10 and 1/100 of the first; 30 examples of class 1 allow 300 of the first.
    assert sizes(torch.tensor([1000, 30, 1000]), 100).tolist() == [300, 30, 3]


def test_an_imbalance_of_one_makes_all_classes_equal():
    assert sizes(torch.tensor([7, 5, 9]), 1).tolist() == [5, 5, 5]


def test_the_seed_decides_which_examples_stay_and_in_their_order():
    split = of_classes(40, 40, 40)
    one, same, other = (long_tail(split, 3, 10, seed).tensor for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(one, one.sort(dim=0).values)


def test_a_long_tail_comes_after_validation_and_before_the_limit():
    whole = load(DigitsOptions(val_fraction=0.2))
    tail = load(DigitsOptions(val_fraction=0.2, imbalance=20))
    assert whole.val is not None
    assert tail.val is not None
    assert torch.equal(whole.val.labels, tail.val.labels)
    assert torch.equal(whole.test.labels, tail.test.labels)
    found = counts(tail.train.labels)
    assert found == sorted(found, reverse=True)
    assert math.floor(found[0] / 20) == found[-1]
    limited = load(DigitsOptions(val_fraction=0.2, imbalance=20, limit_train=100)).train.labels
    assert len(limited) == 100
    # Every class in proportion: none is a whole example away from its share.
    assert all(abs(n - 100 * of / sum(found)) < 1 for n, of in zip(counts(limited), found, strict=True))


def test_the_largest_imbalance_that_leaves_something_of_each_class_is_told():
    with pytest.raises(ConfigError, match=r"^dataset\.imbalance=41 is not allowed: .* class 2 .*; give at most 40\.$"):
        long_tail(of_classes(40, 40, 40), 3, 41, 0)
    assert counts(long_tail(of_classes(40, 40, 40), 3, 40, 0).labels)[-1] == 1
    # Five of the second class allow five times the square root of the imbalance of the first.
    with pytest.raises(ConfigError, match=r"give at most 25\.$"):
        long_tail(of_classes(40, 5, 40), 3, 30, 0)
    assert counts(long_tail(of_classes(40, 5, 40), 3, 25, 0).labels) == [25, 5, 1]


def test_a_class_without_examples_is_told():
    with pytest.raises(ConfigError, match="there is no training example of class 1"):
        long_tail(of_classes(5, 0, 5), 3, 2, 0)


@pytest.mark.parametrize("imbalance", [0.5, 0, "much", True])
def test_an_imbalance_below_one_or_that_is_no_number_is_refused(imbalance):
    options, problems = read(DigitsOptions, {"name": "digits", "imbalance": imbalance})
    assert options is None
    assert problems[0].startswith(f"imbalance={str(imbalance).lower()} is not allowed")


def test_a_balanced_epoch_has_the_length_of_any_other_and_equal_classes():
    labels = of_classes(80, 15, 0, 6).labels
    order = balanced(labels, generator(0, "order", 0))
    assert len(order) == len(labels)
    shown = counts(labels[order])
    assert sorted(shown) == [0, 33, 34, 34]
    times = torch.bincount(order, minlength=len(labels))
    for label in (0, 1, 3):
        own = times[labels == label]
        assert own.max() - own.min() <= 1  # no example of a class comes twice before another has come once
    assert times[labels == 0].max() == 1


def test_of_a_large_class_other_examples_are_left_out_each_time():
    labels = of_classes(80, 20).labels
    first, second = (set(balanced(labels, generator(0, "order", epoch)).tolist()) for epoch in (0, 1))
    assert first - second
    assert second - first


def test_every_class_has_the_extra_example_now_and_then():
    labels = of_classes(5, 5, 3).labels
    most = {counts(labels[balanced(labels, generator(seed, "order"))]).index(5) for seed in range(20)}
    assert most == {0, 1, 2}


def test_examples_without_a_label_come_once_each_among_balanced_ones():
    labels = torch.cat([of_classes(30, 6).labels, torch.full((10,), -1)])
    order = balanced(labels, generator(0, "order", 0))
    assert counts(labels[order] + 1) == [10, 18, 18]
    assert sorted(order[labels[order] < 0].tolist()) == list(range(36, 46))
    nothing = torch.full((4,), -1)
    assert sorted(balanced(nothing, generator(0, "order", 0)).tolist()) == [0, 1, 2, 3]


def test_balanced_batches_depend_on_seed_and_epoch_alone_and_can_begin_in_the_middle():
    split = of_classes(50, 9, 3)
    batches = Batches(split, 8, PLAIN, Augmentation(), seed=4, by_class=True)
    assert len(batches) == len(Batches(split, 8, PLAIN, Augmentation(), seed=4))
    whole, rest = ([batch.index for batch in batches.epoch(2, start)] for start in (0, 3))
    assert all(torch.equal(one, other) for one, other in zip(whole[3:], rest, strict=True))
    expected = balanced(split.labels, generator(4, "order", 2))
    assert torch.equal(torch.cat(whole), expected)
    in_order = torch.cat([batch.index for batch in batches.in_order()])
    assert torch.equal(in_order, torch.arange(62))  # what is measured on is not drawn


def test_processes_share_balanced_batches():
    split = of_classes(50, 9, 3)
    whole, *parts = (
        list(Batches(split, 8, PLAIN, Augmentation(), seed=0, shard=shard, by_class=True).epoch(1))
        for shard in ((0, 1), (0, 2), (1, 2))
    )
    for batch, shares in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat([part.index for part in shares]), batch.index)
