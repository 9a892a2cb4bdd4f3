import pytest
import torch

from distill.data import Augmentation, Batches, Normalization, Split, check_batch_size
from distill.data.mixing import Mixing
from distill.errors import ConfigError
from distill.seeds import generator

PLAIN = Normalization(torch.zeros(1), torch.ones(1))
EVERYTHING = Augmentation(1, flip=True, cutout=2, mixing=Mixing(0.5, 0.5))


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
    assert torch.equal(torch.cat([batch.inputs for batch in batches]), split.tensor[index].float())


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
    assert torch.equal(whole.inputs, augment.move(split.tensor[whole.index], plan).float())


def test_a_square_is_cut_out_after_normalisation_so_that_it_holds_the_mean():
    normalization = Normalization(torch.tensor([100.0]), torch.tensor([0.5]))
    split = Split(torch.full((20, 1, 4, 4), 200, dtype=torch.uint8), torch.zeros(20).long())
    batch = next(Batches(split, 20, normalization, Augmentation(cutout=2), seed=0).epoch(0))
    assert batch.inputs.unique().tolist() == [0, 50]


@pytest.mark.parametrize("augment", [Augmentation(), Augmentation(1, flip=True, cutout=2), EVERYTHING])
def test_an_epoch_can_begin_in_its_middle(augment):
    batches = Batches(pictures(30), 8, PLAIN, augment, seed=0)
    whole, rest = list(batches.epoch(1)), list(batches.epoch(1, start=2))
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(whole[2:], rest, strict=True))


def test_mixing_follows_augmentation_and_names_the_partner():
    split = pictures(40)
    plain = list(Batches(split, 10, PLAIN, Augmentation(1, flip=True), seed=4).epoch(3))
    mixed = list(Batches(split, 10, PLAIN, Augmentation(1, flip=True, mixing=Mixing(0.4)), seed=4).epoch(3))
    pairings = Mixing(0.4).draw([10] * 4, (1, 4, 4), 4, 3, "cpu")
    for one, other, pairing in zip(plain, mixed, pairings, strict=True):
        assert other.mix is not None
        share = pairing.share
        expected = share * one.inputs + (1 - share) * one.inputs[pairing.partner]
        assert torch.allclose(other.inputs, expected, atol=1e-4)
        assert torch.equal(other.labels, one.labels)
        assert torch.equal(other.mix.labels, one.labels[pairing.partner])
        assert other.mix.share.tolist() == pytest.approx([share] * 10)


def test_examples_that_are_measured_on_are_not_mixed():
    assert next(Batches(pictures(10), 10, PLAIN, EVERYTHING, seed=0).in_order()).mix is None


@pytest.mark.parametrize("augment", [Augmentation(), Augmentation(1, flip=True, cutout=2, views=2), EVERYTHING])
@pytest.mark.parametrize(("count", "ranks"), [(41, 2), (40, 3), (16, 8)])
def test_processes_share_exactly_the_batches_of_one(augment, count, ranks):
    whole, *parts = (
        Batches(pictures(count), 8, PLAIN, augment, seed=0, shard=shard)
        for shard in ((0, 1), *((rank, ranks) for rank in range(ranks)))
    )
    assert all(part.sizes == whole.sizes for part in parts)
    epochs = [list(part.epoch(1)) for part in parts]
    lengths = [[len(share) for share in shares] for shares in zip(*epochs, strict=True)]
    assert all(min(shares) >= 1 and max(shares) - min(shares) <= 1 for shares in lengths)
    for batch, shares in zip(whole.epoch(1), zip(*epochs, strict=True), strict=True):
        assert torch.equal(torch.cat([part.inputs for part in shares]), batch.inputs)
        assert torch.equal(torch.cat([part.labels for part in shares]), batch.labels)
        assert torch.equal(torch.cat([part.index for part in shares]), batch.index)
        assert {part.view for part in shares} == {batch.view}
        if batch.mix is not None:
            assert torch.equal(torch.cat([part.mix.labels for part in shares]), batch.mix.labels)
            assert torch.equal(torch.cat([part.mix.share for part in shares]), batch.mix.share)


@pytest.mark.parametrize(("count", "ranks", "expected"), [(41, 2, [8, 8, 8, 8, 9]), (18, 3, [8, 10]), (20, 4, [8, 12])])
def test_a_last_batch_too_small_for_all_processes_joins_the_one_before(count, ranks, expected):
    assert Batches(pictures(count), 8, PLAIN, Augmentation(), seed=0, shard=(0, ranks)).sizes == expected


def test_shares_of_the_split_one_after_the_other_are_the_split():
    batches = Batches(pictures(11), 4, PLAIN, Augmentation(), seed=0, shard=(0, 3))
    shares = [[batch.index for batch in batches.in_order(shard=(rank, 3))] for rank in range(3)]
    assert torch.cat([part for share in shares for part in share]).tolist() == list(range(11))
    assert {sum(map(len, share)) for share in shares} <= {3, 4}
    assert sum(len(batch) for batch in batches.in_order()) == 11
    assert [len(list(batches.in_order(shard=(rank, 12)))) for rank in range(12)].count(0) == 1


def test_a_view_comes_back_with_the_same_pixels_in_another_order():
    batches = Batches(pictures(21), 4, PLAIN, Augmentation(1, flip=True, cutout=2, views=3), seed=0)
    assert batches.views == 3
    shown = {}
    for number in range(6):
        epoch = list(batches.epoch(number))
        assert {batch.view for batch in epoch} == {number % 3}
        index = torch.cat([batch.index for batch in epoch])
        shown[number] = torch.cat([batch.inputs for batch in epoch])[index.argsort()]
        view = list(batches.view(number % 3, batch_size=5))
        assert {batch.view for batch in view} == {number % 3}
        assert torch.equal(torch.cat([batch.index for batch in view]), torch.arange(21))
        assert torch.equal(torch.cat([batch.inputs for batch in view]), shown[number])
    assert torch.equal(shown[0], shown[3])
    assert not torch.equal(shown[0], shown[1])
    assert not torch.equal(next(batches.epoch(0)).index, next(batches.epoch(3)).index)


def test_without_fixed_views_only_what_is_not_augmented_comes_back():
    assert Batches(pictures(4), 4, PLAIN, EVERYTHING, seed=0).views is None
    plain = Batches(pictures(4), 4, PLAIN, Augmentation(), seed=0)
    assert plain.views == 1
    assert torch.equal(next(plain.view(0)).inputs, next(plain.in_order()).inputs)


def test_in_order_is_neither_shuffled_nor_augmented():
    split = pictures(10)
    batches = list(Batches(split, 4, PLAIN, Augmentation(2, flip=True), seed=0).in_order(3))
    assert [batch.index.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert torch.equal(torch.cat([batch.inputs for batch in batches]), split.tensor.float())


def test_batches_are_normalised():
    normalization = Normalization(torch.tensor([100.0]), torch.tensor([0.5]))
    split = pictures(4)
    batch = next(Batches(split, 4, normalization, Augmentation(), seed=0).in_order())
    assert torch.equal(batch.inputs, (split.tensor.float() - 100) / 2)


def test_a_batch_larger_than_the_data_is_refused():
    check_batch_size("hparams.student.batch_size", 10, 10)
    with pytest.raises(ConfigError, match=r"^hparams\.student\.batch_size=11 is not allowed.*10 examples"):
        check_batch_size("hparams.student.batch_size", 11, 10)
    with pytest.raises(ConfigError, match="there is 1 example to train on"):
        check_batch_size("hparams.student.batch_size", 2, 1)


def test_a_batch_too_small_for_all_processes_is_refused():
    check_batch_size("hparams.student.batch_size", 4, 10, processes=4)
    with pytest.raises(ConfigError, match=r"^hparams\.student\.batch_size=3 is not allowed: 4 processes .* at least 4"):
        check_batch_size("hparams.student.batch_size", 3, 10, processes=4)
