import pytest
import torch

from distill.config.options import read
from distill.data import load
from distill.data.sources.synthetic import SyntheticOptions


def test_sizes_are_as_asked():
    dataset = load(SyntheticOptions(features=7, n_classes=3, n_train=40, n_test=20))
    assert dataset.train.tensor.shape == (40, 7)
    assert dataset.test.tensor.shape == (20, 7)
    assert dataset.class_count == 3


def test_a_shape_replaces_the_number_of_features():
    assert load(SyntheticOptions(shape=[1, 8, 8], n_train=20, n_test=10)).input_shape == (1, 8, 8)


def test_inputs_are_standard_normal():
    inputs = load(SyntheticOptions(n_train=4000)).train.tensor
    assert inputs.mean().item() == pytest.approx(0, abs=5 / inputs.numel() ** 0.5)
    assert inputs.var().item() == pytest.approx(1, abs=5 * (2 / inputs.numel()) ** 0.5)


def test_the_seed_alone_decides():
    one, same, other = (load(SyntheticOptions(seed=seed)) for seed in (0, 0, 1))
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_labels_of_a_network_are_roughly_balanced():
    counts = torch.bincount(load(SyntheticOptions(n_train=5000)).train.labels, minlength=5)
    assert counts.min() > 500
    assert counts.max() < 1500


def least_squares_accuracy(labels: str) -> float:
    dataset = load(SyntheticOptions(features=10, n_train=4000, n_test=2000, labels=labels))  # type: ignore[arg-type]
    targets = torch.nn.functional.one_hot(dataset.train.labels, 5).float()
    weights = torch.linalg.lstsq(dataset.train.tensor, targets).solution
    return ((dataset.test.tensor @ weights).argmax(1) == dataset.test.labels).float().mean().item()


def test_labels_of_a_network_can_be_learnt_and_random_ones_cannot():
    assert least_squares_accuracy("network") > 0.4
    assert least_squares_accuracy("random") == pytest.approx(0.2, abs=5 * (0.2 * 0.8 / 2000) ** 0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_classes": 1}, "n_classes=1"),
        ({"n_train": 0}, "n_train=0"),
        ({"shape": []}, "shape=[]"),
        ({"labels": "none"}, "labels=none"),
    ],
)
def test_options_out_of_range_are_reported(values, message):
    options, problems = read(SyntheticOptions, values)
    assert options is None
    assert problems[0].startswith(message)
