import pytest
import torch

from distill.data.normalization import normalization
from distill.data.sources.digits import DigitsOptions
from distill.errors import ConfigError
from distill.seeds import generator


def test_pictures_get_mean_zero_and_deviation_one_in_every_channel():
    pictures = torch.randint(0, 256, (5000, 2, 3, 3), generator=generator(0, "x"))
    pictures = (pictures // torch.tensor([1, 4])[:, None, None]).byte()
    normalised = normalization(DigitsOptions(), pictures, 255.0)(pictures).double()
    assert normalised.mean((0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert normalised.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_arrays_share_one_mean_and_one_deviation():
    inputs = torch.randn(5000, 3, generator=generator(0, "x")) * torch.tensor([1.0, 2.0, 3.0]) + 5
    norm = normalization(DigitsOptions(), inputs, 255.0)
    assert norm.offset.tolist() == pytest.approx([inputs.mean().item()], abs=1e-4)
    assert (1 / norm.scale).tolist() == pytest.approx([inputs.std(correction=0).item()], abs=1e-4)


def test_float_pictures_are_normalised_per_channel():
    inputs = torch.stack([torch.full((4, 2, 2), 3.0), torch.arange(16.0).view(4, 2, 2)], 1)
    norm = normalization(DigitsOptions(), inputs, 255.0)
    assert norm.offset.tolist() == pytest.approx([3.0, 7.5])
    assert norm.scale.tolist() == pytest.approx([1.0, (12 / 255) ** 0.5])


def test_a_constant_channel_becomes_zero():
    pictures = torch.full((3, 1, 2, 2), 7, dtype=torch.uint8)
    assert normalization(DigitsOptions(), pictures, 16.0)(pictures).abs().max() == 0


def test_none_scales_pictures_to_one_and_leaves_arrays():
    options = DigitsOptions(normalize="none")
    white = torch.full((1, 3, 2, 2), 16, dtype=torch.uint8)
    assert torch.equal(normalization(options, white, 16.0)(white), torch.ones(1, 3, 2, 2))
    inputs = torch.tensor([[3.0, -8.0]])
    assert torch.equal(normalization(options, inputs, 16.0)(inputs), inputs)


def test_given_values_are_in_units_of_scaled_pictures():
    options = DigitsOptions(normalize="given", mean=[0.5, 0.25], std=[0.5, 2.0])
    white = torch.full((1, 2, 1, 1), 255, dtype=torch.uint8)
    normalised = normalization(options, white, 255.0)(white)
    assert normalised.flatten().tolist() == pytest.approx([(1 - 0.5) / 0.5, (1 - 0.25) / 2])


def test_given_values_must_fit_the_channels():
    options = DigitsOptions(normalize="given", mean=[0.5, 0.5], std=[1.0])
    with pytest.raises(ConfigError, match=r"^dataset\.mean=\[0\.5, 0\.5\] is not allowed.*3 channels"):
        normalization(options, torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 255.0)
