"""Shifts of test data: what each does, how strongly, and that nothing but seed and position decides it."""

import numpy as np
import pytest
import torch

from distill.data import Split
from distill.data.pictures import MappedPictures, everything
from distill.data.shifts import ShiftOptions, shifted
from distill.errors import ConfigError


def pictures(count: int, side: int = 20, value: int = 128) -> Split:
    return Split(torch.full((count, 1, side, side), value, dtype=torch.uint8), torch.zeros(count).long())


def under(name: str, severity: int, split: Split, seed: int = 0) -> torch.Tensor:
    return shifted(split, ShiftOptions(name=name, severity=severity, seed=seed), 255.0).tensor  # type: ignore


@pytest.mark.parametrize("name", ["noise", "jitter", "blur"])
def test_what_happens_to_an_example_follows_from_seed_and_position(name):
    random = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (600, 2, 6, 6), generator=random).byte()
    whole = under(name, 4, Split(inputs, torch.zeros(600).long()))
    assert torch.equal(whole[:70], under(name, 4, Split(inputs[:70], torch.ones(70).long())))
    assert whole.dtype == torch.uint8
    assert not torch.equal(whole, inputs)
    assert torch.equal(whole, under(name, 4, Split(inputs, torch.zeros(600).long()), seed=9)) == (name == "blur")


def test_pictures_that_stay_on_disk_are_shifted_when_they_are_read():
    inputs = torch.randint(0, 256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(2)).byte()
    options = ShiftOptions(name="noise", severity=2)
    on_disk = shifted(Split(MappedPictures(inputs.numpy(), 2), torch.zeros(40).long()), options, 255.0)
    expected = shifted(Split(inputs, torch.zeros(40).long()), options, 255.0).tensor
    assert not isinstance(on_disk.inputs, torch.Tensor)
    assert torch.equal(everything(on_disk.inputs, "cpu"), expected)
    positions = torch.tensor([31, 4])
    taken = on_disk.take(positions).inputs
    assert torch.equal(taken[torch.tensor([0, 1])], expected[positions])


@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.08), (3, 0.18)])
def test_noise_has_the_published_amplitude(severity, deviation):
    noise = (under("noise", severity, pictures(40)).double() - 128) / 255
    assert float(noise.mean()) == pytest.approx(0, abs=0.004)
    assert float(noise.std()) == pytest.approx(deviation, rel=0.03)


def test_noise_stays_between_black_and_white_and_keeps_whole_values():
    for value, bound in ((0, 0), (255, 255)):
        noisy = under("noise", 5, pictures(4, value=value))
        assert 0.4 < float((noisy == bound).double().mean()) < 0.6


def test_noise_of_other_arrays_is_relative_to_their_spread():
    inputs = 7 * torch.randn(500, 30, generator=torch.Generator().manual_seed(3))
    noisy = under("noise", 2, Split(inputs, torch.zeros(500).long()))
    assert float((noisy - inputs).std() / inputs.std()) == pytest.approx(0.12, rel=0.03)


@pytest.mark.parametrize(("severity", "farthest"), [(1, 1), (5, 5)])
def test_jitter_moves_each_picture_by_whole_pixels_up_to_a_twentieth_of_the_side_per_degree(severity, farthest):
    split = pictures(200, value=0)
    split.tensor[:, 0, 10, 10] = 200
    places = under("jitter", severity, split).flatten(1).argmax(1).numpy()
    rows, columns = np.divmod(places, 20)
    assert {*rows} == {*columns} == set(range(10 - farthest, 10 + farthest + 1))


def test_blur_spreads_a_point_as_a_gaussian_of_a_share_of_the_side():
    split = pictures(1, side=101, value=0)
    split.tensor[0, 0, 50, 50] = 255
    blurred = under("blur", 2, Split(split.tensor.float(), split.labels))[0, 0].double()
    assert float(blurred.sum()) == pytest.approx(255, rel=1e-4)
    offsets = torch.arange(101).double() - 50
    variance = float((blurred.sum(1) * offsets**2).sum() / blurred.sum())
    assert variance**0.5 == pytest.approx(2 * 0.015 * 101, rel=0.03)
    assert torch.equal(under("blur", 5, pictures(1)), pictures(1).tensor)


def test_no_shift_is_the_same_split():
    split = pictures(3)
    assert shifted(split, ShiftOptions(), 255.0) is split


@pytest.mark.parametrize("name", ["jitter", "blur"])
def test_what_is_no_picture_cannot_be_moved_or_blurred(name):
    with pytest.raises(ConfigError, match=rf"shift={name} is not allowed.*\[12\]; give shift=noise"):
        under(name, 1, Split(torch.zeros(4, 12), torch.zeros(4).long()))
