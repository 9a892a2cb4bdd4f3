"""Real-valued targets: their scale, what is refused, and the sets that have them."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from distill.config.options import read
from distill.data import load
from distill.data.sources.synthetic_regression import SyntheticRegressionOptions, friedman
from distill.data.sources.tensors import TensorsOptions
from distill.data.targets import Targets
from distill.errors import ConfigError, DataError


def saved(folder, **changes: Any) -> str:
    random = np.random.default_rng(0)
    values = {
        "x_train": random.random((8, 3)),
        "y_train": np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0]),
        "x_test": random.random((2, 3)),
        "y_test": np.array([2.0, 5.0]),
    }
    np.savez(folder / "mine.npz", **(values | changes))  # type: ignore[arg-type]
    return str(folder / "mine.npz")


def tensors(folder, changes: dict[str, Any] | None = None, **options: Any) -> TensorsOptions:
    return TensorsOptions(path=saved(folder, **(changes or {})), task="regression", **options)


def test_targets_are_learned_at_mean_0_and_deviation_1_of_training(tmp_path):
    data = load(tensors(tmp_path))
    assert data.targets == Targets(("target",), (2.0,), (1.0,))
    assert data.train.labels.tolist() == [[-1.0], [1.0]] * 4
    assert data.test.labels.tolist() == [[0.0], [3.0]]  # by the mean and deviation of training
    assert (data.classes, data.class_count, data.train.labels.dtype) == ((), 1, torch.float32)


def test_own_units_come_back_exactly_where_float32_would_have_lost_them(tmp_path):
    offset = 1e9
    years = offset + np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    data = load(tensors(tmp_path, {"y_train": years, "y_test": offset + np.array([1.0, 2.0])}))
    assert data.targets is not None
    assert data.targets.own(data.train.labels).flatten().tolist() == pytest.approx(list(years), abs=1e-5)


def test_several_targets_have_a_scale_and_a_name_each(tmp_path):
    wide = {"y_train": np.array([[0.0, 10.0], [2.0, 30.0]] * 4), "y_test": np.array([[1.0, 20.0], [3.0, 0.0]])}
    data = load(tensors(tmp_path, wide, target_names=["width", "height"]))
    assert data.targets == Targets(("width", "height"), (1.0, 20.0), (1.0, 10.0))
    assert data.test.labels.tolist() == [[0.0, 0.0], [2.0, -2.0]]
    assert data.class_count == 2


def test_limits_and_splits_of_numbers_are_plain_random_and_the_same_each_time(tmp_path):
    options = SyntheticRegressionOptions(n_train=100, n_test=20, val_fraction=0.3, limit_train=50, limit_transfer=20)
    first, again = load(options), load(options)
    assert first.val is not None
    assert (len(first.train), len(first.transfer), len(first.val)) == (50, 20, 30)
    assert torch.equal(first.transfer.tensor, again.transfer.tensor)
    rows = {tuple(row) for row in first.train.tensor.tolist()}
    assert {tuple(row) for row in first.transfer.tensor.tolist()} < rows
    assert rows.isdisjoint(tuple(row) for row in first.val.tensor.tolist())


def test_another_set_on_the_scale_of_a_run_keeps_its_own_units(tmp_path):
    data = load(tensors(tmp_path))
    moved = data.on_scale_of(Targets(("target",), (10.0,), (4.0,)))
    assert moved.test.labels.tolist() == [[-2.0], [-1.25]]
    assert moved.targets is not None
    assert moved.targets.own(moved.test.labels).tolist() == [[2.0], [5.0]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"y_train": np.zeros((8, 1, 1))}, "targets of a regression must be real numbers"),
        ({"y_train": np.full(8, np.nan)}, "training targets hold 8 values that are NaN or infinite"),
        ({"y_train": np.full(8, 4.0)}, "the target 'target' is 4 in all 8 training examples"),
        ({"y_test": np.full(2, 4.0)}, "the target 'target' is the same in all 2 test examples"),
        ({"y_test": np.zeros((2, 2))}, r"test targets have the shape \[2, 2\]; they must be \[examples, 1\]"),
        ({"y_train": np.zeros(7)}, "8 training inputs and 7 training labels"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(tmp_path, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        load(tensors(tmp_path, changes))


def test_numbers_taken_for_classes_are_told_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r"labels must be whole class numbers .* give dataset\.task=regression"):
        load(TensorsOptions(path=saved(tmp_path, y_train=np.full(8, 0.5))))


def test_names_must_be_as_many_as_targets(tmp_path):
    with pytest.raises(ConfigError, match=r"target_names=\['a', 'b'\] is not allowed: 'y_train' holds 1 target"):
        load(tensors(tmp_path, target_names=["a", "b"]))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"label_noise": 0.1}, "label_noise=0.1 is not allowed: synthetic_regression has real-valued targets"),
        ({"classes": [1]}, "classes=[1] is not allowed: synthetic_regression has real-valued targets"),
        ({"omit_classes": [0]}, "omit_classes=[0] is not allowed: synthetic_regression has real-valued targets"),
        ({"features": 4}, "features=4 is not allowed: it must be greater than or equal to 5."),
    ],
)
def test_options_about_classes_are_refused_where_there_are_none(given, sentence):
    _, problems = read(SyntheticRegressionOptions, {"name": "synthetic_regression", **given})
    assert len(problems) == 1
    assert problems[0].startswith(sentence)


def test_names_of_classes_do_not_go_with_a_regression():
    _, problems = read(TensorsOptions, {"path": "mine.npz", "task": "regression", "class_names": ["a"]})
    assert problems == ["class_names=['a'] is not allowed with task=regression: give task=classification."]


def test_friedmans_function_at_points_worked_out_by_hand():
    points = torch.tensor([[0.5, 1.0, 0.5, 0.0, 0.0, 0.9], [0.0, 0.3, 1.0, 1.0, 1.0, 0.1]], dtype=torch.float64)
    assert friedman(points).tolist() == pytest.approx([10.0, 20.0])


def test_the_synthetic_regression_is_noisy_to_train_on_and_exact_to_test_on():
    data = load(SyntheticRegressionOptions(n_train=4000, n_test=300, noise=2.0))
    assert data.targets is not None
    noise = data.targets.own(data.train.labels)[:, 0] - friedman(data.train.tensor.double())
    assert noise.std().item() == pytest.approx(2.0, abs=0.1)
    assert abs(noise.mean().item()) < 5 * 2.0 / math.sqrt(4000)
    exact = data.targets.own(data.test.labels)[:, 0] - friedman(data.test.tensor.double())
    assert exact.abs().max().item() < 1e-5
