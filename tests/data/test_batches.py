import pytest
import torch

from distill.data import Augmentation, Batches, Normalization, Split, check_batch_size
from distill.errors import ConfigError
from distill.seeds import generator

PLAIN = Normalization(torch.zeros(1), torch.ones(1))


def pictures(count: int) -> Split:
    inputs = torch.randint(0, 256, (count, 1, 4, 4), generator=generator(0, "pictures")).byte()
    return Split(inputs, torch.arange(count) % 3)


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"),
    [
        (10, 5, [5, 5]),
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),  # a batch of one joins the one before
        (5, 8, [5]),
        (1, 8, [1]),
        (3, 1, [1, 1, 1]),  # as asked for
    ],
)
def test_sizes_of_batches(count, batch_size, expected):
    batches = Batches(pictures(count), batch_size, PLAIN, Augmentation(), seed=0)
    assert [len(batch.labels) for batch in batches.epoch(0)] == expected
    assert len(batches) == len(expected)


def test_an_epoch_shows_every_example_once_in_the_order_of_its_stream():
    split = pictures(50)
    batches = list(Batches(split, 8, PLAIN, Augmentation(), seed=3).epoch(2))
    index = torch.cat([batch.index for batch in batches])
    assert torch.equal(index, torch.randperm(50, generator=generator(3, "order", 2)))
    assert torch.equal(torch.cat([batch.labels for batch in batches]), split.labels[index])
    assert torch.equal(torch.cat([batch.inputs for batch in batches]), split.inputs[index].float())


def test_an_epoch_does_not_depend_on_the_ones_before():
    def third(first: int) -> torch.Tensor:
        batches = Batches(pictures(20), 4, PLAIN, Augmentation(1, flip=True), seed=0)
        epochs = [list(batches.epoch(number)) for number in range(first, 3)]
        return torch.cat([batch.inputs for batch in epochs[-1]])

    assert torch.equal(third(0), third(2))


def test_epochs_and_seeds_differ():
    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches(pictures(20), 20, PLAIN, Augmentation(), seed)
        return next(batches.epoch(epoch)).index.tolist()

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_augmentation_does_not_change_the_order():
    plain = Batches(pictures(20), 6, PLAIN, Augmentation(), seed=0).epoch(1)
    moved = Batches(pictures(20), 6, PLAIN, Augmentation(2, flip=True), seed=0).epoch(1)
    assert [b.index.tolist() for b in plain] == [b.index.tolist() for b in moved]


def test_augmentation_goes_by_position_in_the_epoch_whatever_the_batch_size():
    augment = Augmentation(2, flip=True)
    split = pictures(20)
    whole, *rest = Batches(split, 20, PLAIN, augment, seed=0).epoch(1)
    assert not rest
    parts = torch.cat([batch.inputs for batch in Batches(split, 6, PLAIN, augment, seed=0).epoch(1)])
    assert torch.equal(whole.inputs, parts)
    plan = augment.draw(20, generator(0, "augment", 1))
    assert torch.equal(whole.inputs, augment.apply(split.inputs[whole.index], plan).float())


def test_in_order_is_neither_shuffled_nor_augmented():
    split = pictures(10)
    batches = list(Batches(split, 4, PLAIN, Augmentation(2, flip=True), seed=0).in_order(3))
    assert [batch.index.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert torch.equal(torch.cat([batch.inputs for batch in batches]), split.inputs.float())


def test_batches_are_normalised():
    normalization = Normalization(torch.tensor([100.0]), torch.tensor([0.5]))
    split = pictures(4)
    batch = next(Batches(split, 4, normalization, Augmentation(), seed=0).in_order())
    assert torch.equal(batch.inputs, (split.inputs.float() - 100) / 2)


def test_a_batch_larger_than_the_data_is_refused():
    check_batch_size("hparams.student.batch_size", 10, 10)
    with pytest.raises(ConfigError, match=r"^hparams\.student\.batch_size=11 is not allowed.*10 examples"):
        check_batch_size("hparams.student.batch_size", 11, 10)
    with pytest.raises(ConfigError, match="there is 1 example to train on"):
        check_batch_size("hparams.student.batch_size", 2, 1)
