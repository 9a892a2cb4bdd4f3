"""The strongly augmented form of a batch."""

import math

import pytest
import torch

from distill.data import Augmentation, Batches, Normalization, Split
from distill.data.mixing import Mixing
from distill.data.strong import StrongPlan, draw, strongly
from distill.errors import ConfigError
from distill.seeds import generator
from distill.types import Batch

PLAIN = Normalization(torch.zeros(1), torch.ones(1))
MOVING = Augmentation(1, flip=True)
OUTSIDE = torch.tensor([[-99, -99]])  # nothing is cut out


def pictures(count: int, side: int = 8) -> Split:
    inputs = torch.randint(0, 256, (count, 2, side, side), generator=generator(0, "pictures")).byte()
    return Split(inputs, torch.arange(count) % 3)


def plan(places: list[list[float]], brightness: float = 1.0, contrast: float = 1.0) -> StrongPlan:
    return StrongPlan(
        torch.tensor([places], dtype=torch.float32), torch.tensor([brightness]), torch.tensor([contrast]), OUTSIDE
    )


def strong(batch: Batch) -> torch.Tensor:
    assert batch.strong is not None
    return batch.strong


@pytest.mark.parametrize("augment", [Augmentation(), MOVING, Augmentation(1, cutout=2, mixing=Mixing(0.5, 0.5))])
def test_it_shifts_nothing_else(augment):
    plain = Batches(pictures(30), 8, PLAIN, augment, seed=0).epoch(1)
    for batch, other in zip(plain, Batches(pictures(30), 8, PLAIN, augment, seed=0, strong=True).epoch(1), strict=True):
        assert batch.strong is None
        assert torch.equal(batch.inputs, other.inputs)
        assert torch.equal(batch.index, other.index)
        assert strong(other).shape == other.inputs.shape
        assert strong(other).dtype == torch.float32
        assert not torch.equal(strong(other), other.inputs)


def test_it_shows_the_same_examples_shifted_and_flipped_alike():
    batches = Batches(pictures(20), 20, PLAIN, MOVING, seed=3, strong=True)
    batch = next(batches.epoch(2))
    moved = next(Batches(pictures(20), 20, PLAIN, MOVING, seed=3).epoch(2)).inputs
    drawn = draw(20, (2, 8, 8), generator(3, "strong", 2))
    assert torch.equal(strong(batch), strongly(moved, drawn, PLAIN))


def test_an_epoch_draws_anew_and_can_begin_in_its_middle():
    batches = Batches(pictures(30), 8, PLAIN, MOVING, seed=0, strong=True)
    whole, rest = list(batches.epoch(1)), list(batches.epoch(1, start=2))
    assert all(torch.equal(strong(a), strong(b)) for a, b in zip(whole[2:], rest, strict=True))
    still = Batches(pictures(4), 4, PLAIN, Augmentation(), seed=0, strong=True)
    first, second = (next(still.epoch(number)) for number in (0, 1))
    assert not torch.equal(strong(first)[first.index.argsort()], strong(second)[second.index.argsort()])


@pytest.mark.parametrize("augment", [MOVING, Augmentation(1, mixing=Mixing(0.5, 0.5))])
def test_processes_share_exactly_the_batches_of_one(augment):
    whole, *parts = (
        Batches(pictures(41), 8, PLAIN, augment, seed=0, shard=shard, strong=True).epoch(1)
        for shard in ((0, 1), (0, 2), (1, 2))
    )
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([strong(share) for share in shares]), strong(batch))


def test_mixing_takes_the_same_partner_and_share():
    plain = next(Batches(pictures(10), 10, PLAIN, MOVING, seed=4, strong=True).epoch(3))
    mixing = Mixing(0.4)
    mixed = next(Batches(pictures(10), 10, PLAIN, Augmentation(1, True, mixing=mixing), seed=4, strong=True).epoch(3))
    (pairing,) = mixing.draw([10], (2, 8, 8), 4, 3, "cpu")
    assert torch.allclose(
        strong(mixed),
        pairing.share * strong(plain) + (1 - pairing.share) * strong(plain)[pairing.partner],
        atol=1e-3,
    )
    assert mixed.mix is not None


def test_what_is_measured_on_is_never_augmented():
    assert next(Batches(pictures(10), 10, PLAIN, MOVING, seed=0, strong=True).in_order()).strong is None


def test_vectors_are_refused_in_one_sentence():
    split = Split(torch.zeros(4, 50), torch.zeros(4).long())
    with pytest.raises(ConfigError, match=r"needs pictures \[channels, height, width\].* shape \[50\]; choose"):
        Batches(split, 4, PLAIN, Augmentation(), seed=0, strong=True)


def test_a_quarter_turn_of_a_square_picture_is_a_quarter_turn():
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    turned = strongly(picture, plan([[0, -1, 0], [1, 0, 0]]), PLAIN)
    assert torch.allclose(turned, picture.rot90(1, (2, 3)), atol=1e-4)


def test_a_move_by_half_a_side_brings_in_zeros_of_the_raw_picture():
    picture = torch.ones(1, 1, 2, 4)
    moved = strongly(picture, plan([[1, 0, 1], [0, 1, 0]]), Normalization(torch.tensor([2.0]), torch.tensor([3.0])))
    assert moved.tolist() == [[[[-3, -3, -6, -6]] * 2]]


def test_brightness_scales_and_contrast_spreads_around_the_mean_of_the_picture():
    picture = torch.tensor([[[[0.0, 4.0]]]])
    same = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert strongly(picture, plan(same, contrast=0.5), PLAIN).flatten().tolist() == pytest.approx([1, 3])
    assert strongly(picture, plan(same, brightness=1.5), PLAIN).flatten().tolist() == pytest.approx([0, 6])


def test_the_square_that_is_cut_out_has_half_the_shorter_side():
    picture, cuts = torch.ones(1, 1, 6, 10), torch.tensor([[3, 5]])
    still = StrongPlan(torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), torch.ones(1), torch.ones(1), cuts)
    empty = strongly(picture, still, PLAIN)[0, 0] == 0
    assert (int(empty.sum()), int(empty.any(dim=0).sum()), int(empty.any(dim=1).sum())) == (9, 3, 3)


def test_amounts_fill_their_ranges_and_turn_without_stretching_pictures_of_any_ratio():
    drawn = draw(20_000, (3, 6, 12), generator(0, "strong"))
    for factor in (drawn.brightness, drawn.contrast):
        assert (float(factor.min()), float(factor.max())) == (
            pytest.approx(0.6, abs=0.01),
            pytest.approx(1.4, abs=0.01),
        )
    assert float(drawn.places[:, :, 2].abs().max()) == pytest.approx(0.25, abs=0.01)
    assert drawn.cuts.amin(0).tolist() == [0, 0]
    assert drawn.cuts.amax(0).tolist() == [5, 11]
    # In pixels: rotation (determinant 1) times a shear whose determinant is 1 - along * across.
    linear = drawn.places[:, :, :2].double()
    determinant = torch.linalg.det(linear)
    assert float((determinant - 1).abs().max()) <= 0.2 * 0.2 + 1e-6
    pixels = (
        torch.diag(torch.tensor([12.0, 6.0]).double()) @ linear @ torch.diag(1 / torch.tensor([12.0, 6.0]).double())
    )
    tilt = torch.atan2(pixels[:, 1, 0], pixels[:, 0, 0])  # of the rows: rotation, and shear by at most 0.2
    assert float(tilt.abs().max()) <= math.radians(30) + math.atan(0.2) + 1e-6
    assert float(tilt.abs().max()) > math.radians(35)
