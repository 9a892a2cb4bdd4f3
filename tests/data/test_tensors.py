import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.config.options import read
from distill.data import load
from distill.data.sources.tensors import TensorsOptions
from distill.errors import ConfigError, DataError


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    values = {
        "x_train": np.random.default_rng(0).integers(0, 256, (12, 1, 4, 4)).astype(np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": np.zeros((6, 1, 4, 4), np.uint8),
        "y_test": np.arange(6) % 3,
    }
    values |= changes
    return {name: value for name, value in values.items() if value is not None}


def saved(folder: Path, suffix: str = ".npz", **changes: Any) -> str:
    path = folder / f"mine{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays(**changes))  # type: ignore[arg-type]
    else:
        torch.save({name: torch.from_numpy(value) for name, value in arrays(**changes).items()}, path)
    return str(path)


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".pth"])
def test_arrays_come_back_as_they_were_saved(tmp_path, suffix):
    dataset = load(TensorsOptions(path=saved(tmp_path, suffix)))
    assert torch.equal(dataset.train.tensor, torch.from_numpy(arrays()["x_train"]))
    assert dataset.train.labels.tolist() == [0, 1, 2] * 4
    assert len(dataset.test) == 6
    assert dataset.classes == ("0", "1", "2")


def test_both_formats_have_the_same_fingerprint(tmp_path):
    prints = {load(TensorsOptions(path=saved(tmp_path, suffix))).fingerprint for suffix in (".npz", ".pt")}
    assert len(prints) == 1


def test_grey_pictures_gain_a_channel_and_other_numbers_become_floats(tmp_path):
    grey: dict[str, Any] = {"x_train": np.zeros((12, 4, 4), np.uint8), "x_test": np.zeros((6, 4, 4), np.uint8)}
    assert load(TensorsOptions(path=saved(tmp_path, **grey))).input_shape == (1, 4, 4)
    vectors: dict[str, Any] = {"x_train": np.arange(24).reshape(12, 2), "x_test": np.zeros((6, 2))}
    dataset = load(TensorsOptions(path=saved(tmp_path, **vectors)))
    assert dataset.train.tensor.dtype == torch.float32
    assert dataset.train.tensor[3].tolist() == [6.0, 7.0]


def test_names_of_arrays_and_classes_can_be_given(tmp_path):
    path = tmp_path / "mine.npz"
    values = arrays()
    np.savez(path, a=values["x_train"], b=values["y_train"], c=values["x_test"], d=values["y_test"])
    names = ["x", "y", "z"]
    options = TensorsOptions(path=str(path), x_train="a", y_train="b", x_test="c", y_test="d", class_names=names)
    assert load(options).classes == ("x", "y", "z")


def test_a_file_without_test_set_is_divided_by_class(tmp_path):
    dataset = load(TensorsOptions(path=saved(tmp_path, x_test=None, y_test=None), test_fraction=0.25))
    assert torch.bincount(dataset.train.labels).tolist() == [3, 3, 3]
    assert torch.bincount(dataset.test.labels).tolist() == [1, 1, 1]


def test_a_file_with_a_test_set_is_not_divided(tmp_path):
    with pytest.raises(ConfigError, match=r"^dataset\.test_fraction=0\.25 is not allowed"):
        load(TensorsOptions(path=saved(tmp_path), test_fraction=0.25))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "holds no array called 'x_train', only y_train, x_test, y_test"),
        ({"x_test": None, "y_test": None}, "holds no test set"),
        ({"y_test": None}, "holds no array called 'y_test'"),
        ({"x_train": np.zeros(12)}, "'x_train' has the shape .12."),
        ({"x_train": np.zeros((12, 4, 4, 3), np.uint8)}, "looks like .examples, height, width, channels"),
        ({"y_train": np.eye(12)}, "labels must be whole class numbers"),
        ({"y_train": np.full(12, 0.5)}, "labels must be whole class numbers"),
        ({"y_train": np.arange(12) % 3 - 1}, "4 of 12 training labels are outside 0..2"),
        ({"y_train": np.zeros(11, int)}, "12 training inputs and 11 training labels"),
        ({"x_train": np.full((12, 1, 4, 4), np.nan)}, "192 values that are NaN"),
        ({"x_train": np.where(np.arange(192).reshape(12, 1, 4, 4) == 5, np.nan, 0.0)}, "1 value that is NaN"),
        ({"x_train": np.array(["a"] * 12)[:, None]}, "'x_train' does not hold numbers"),
    ],
)
def test_arrays_that_cannot_be_learnt_from_are_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        load(TensorsOptions(path=saved(tmp_path, **changes)))


def test_labels_beyond_the_named_classes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"outside 0\.\.1"):
        load(TensorsOptions(path=saved(tmp_path), class_names=["x", "y"]))


class Malicious:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def write_torch(path: Path, mark: Path) -> None:
    torch.save({"x_train": Malicious(mark)}, path)


def write_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Malicious(mark)))


def write_numpy(path: Path, mark: Path) -> None:
    np.savez(path, x_train=np.array([Malicious(mark)], dtype=object))


@pytest.mark.parametrize(
    ("suffix", "write"),
    [(".pt", write_torch), (".pt", write_pickle), (".npz", write_numpy), (".npz", write_pickle)],
)
def test_a_file_that_would_run_code_is_refused_and_does_not_run(tmp_path, suffix, write):
    path, mark = tmp_path / f"evil{suffix}", tmp_path / "mark"
    write(path, mark)
    with pytest.raises(DataError, match="could run code"):
        load(TensorsOptions(path=str(path)))
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = Path(saved(tmp_path, suffix))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="truncated, damaged, or not a file of arrays"):
        load(TensorsOptions(path=str(path)))


def test_a_tensor_alone_is_refused(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "mine.pt")
    with pytest.raises(DataError, match="not a file of arrays"):
        load(TensorsOptions(path=str(tmp_path / "mine.pt")))


def test_a_path_that_is_no_such_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        load(TensorsOptions(path=str(tmp_path / "absent.npz")))
    (tmp_path / "mine.csv").touch()
    with pytest.raises(DataError, match=r"must end in \.npz"):
        load(TensorsOptions(path=str(tmp_path / "mine.csv")))
    assert read(TensorsOptions, {})[1] == ["path= is not allowed: give the .npz or .pt file that holds the arrays."]
