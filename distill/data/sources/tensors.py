"""The user's own arrays, from a `.npz` or `.pt` file."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from distill.config.dataset_options import DatasetOptions
from distill.config.options import BelowOne
from distill.data.source import Source
from distill.data.sources import datasets
from distill.data.stratify import divide
from distill.errors import ConfigError, DataError
from distill.seeds import generator


@dataclass(frozen=True, kw_only=True)
class TensorsOptions(DatasetOptions):
    """Which file, and what in it is what.

    Attributes:
        path: A `.npz` file, or a `.pt`/`.pth` file that holds a dict of tensors.
        x_train: Name of the training inputs in it: uint8 pictures `[examples, channels, height, width]` or
            `[examples, height, width]`, or numbers of any other shape.
        y_train: Name of the training labels: `[examples]` class numbers from 0; in a regression `[examples]` or
            `[examples, targets]` numbers.
        x_test: Name of the test inputs.
        y_test: Name of the test labels.
        test_fraction: Share of the examples set apart as the test set, stratified, 0 to <1; for a file
            that holds no test set.
        task: `classification`, or `regression` for labels that are numbers to be answered.
        class_names: Name of each class; `None` counts the classes in the labels.
        target_names: Name of each target of a regression; `None` numbers them.
    """

    name: str = "tensors"
    path: str = ""
    x_train: str = "x_train"
    y_train: str = "y_train"
    x_test: str = "x_test"
    y_test: str = "y_test"
    test_fraction: BelowOne | None = None
    task: Literal["classification", "regression"] = "classification"
    class_names: list[str] | None = None
    target_names: list[str] | None = None

    @property
    def regression(self) -> bool:
        """Whether the labels are numbers to be answered."""
        return self.task == "regression"

    def check(self) -> Iterable[str]:
        """Adds `path` to what is checked for every data set."""
        yield from super().check()
        if not self.path:
            yield "path= is not allowed: give the .npz or .pt file that holds the arrays."
        for key, other in (("class_names", "classification"), ("target_names", "regression")):
            if getattr(self, key) is not None and self.task != other:
                yield f"{key}={getattr(self, key)} is not allowed with task={self.task}: give task={other}."


@datasets.register("tensors", TensorsOptions)
def load(options: TensorsOptions) -> Source:
    """Reads the arrays, never running code that a file may hold."""
    path = Path(options.path).expanduser()
    arrays = _read(path)
    train_inputs = _inputs(options.x_train, _named(arrays, options.x_train, path))
    read = _targets if options.regression else _labels
    train_labels = read(options.y_train, _named(arrays, options.y_train, path))
    if options.x_test in arrays or options.y_test in arrays:
        if options.test_fraction is not None:
            raise ConfigError(
                f"dataset.test_fraction={options.test_fraction} is not allowed: {path} holds a test set of its own."
            )
        test_inputs = _inputs(options.x_test, _named(arrays, options.x_test, path))
        test_labels = read(options.y_test, _named(arrays, options.y_test, path))
    else:
        train_inputs, train_labels, test_inputs, test_labels = _set_apart(options, path, train_inputs, train_labels)
    parts = (train_inputs, train_labels, test_inputs, test_labels)
    if options.regression:
        return Source(*parts, classes=(), targets=_target_names(options, train_labels))
    return Source(*parts, _class_names(options, train_labels, test_labels))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"dataset.path={path} is not a file; give a .npz or .pt file that holds the arrays.")
    if path.suffix not in (".npz", ".pt", ".pth"):
        raise DataError(f"dataset.path={path} must end in .npz, .pt or .pth.")
    try:
        return _read_npz(path) if path.suffix == ".npz" else _read_pt(path)
    except PermissionError as error:
        raise DataError(f"dataset.path={path} may not be read; change its permissions.") from error
    # Damaged archives make the parsers fail in many ways, from BadZipFile and EOFError to KeyError.
    except Exception as error:
        if isinstance(error, pickle.UnpicklingError) or "allow_pickle" in str(error):
            raise DataError(
                f"dataset.path={path} holds Python objects that could run code, not only numbers, and was not loaded; "
                "save arrays with numpy.savez, or a dict of tensors with torch.save."
            ) from error
        raise DataError(f"dataset.path={path} is truncated, damaged, or not a file of arrays; save it anew.") from error


def _read_npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_pt(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        # torch warns of the pickle protocol of files that it is about to refuse.
        warnings.simplefilter("ignore")
        arrays = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(arrays, dict):
        raise TypeError(f"a {type(arrays).__name__} instead of a dict")
    return arrays


def _named(arrays: dict[str, Any], name: str, path: Path) -> Tensor:
    if name not in arrays:
        raise DataError(
            f"dataset.path={path} holds no array "
            f"called {name!r}, only {', '.join(map(str, arrays)) or 'nothing'}; rename "
            "it, or say which is which with dataset.x_train=, y_train=, x_test=, y_test=."
        )
    try:
        return torch.as_tensor(arrays[name])
    except TypeError as error:
        raise DataError(f"dataset.path={path}: {name!r} does not hold numbers.") from error


def _inputs(name: str, values: Tensor) -> Tensor:
    if values.ndim < 2 or values.is_complex():
        raise DataError(
            "dataset=tensors: "
            f"{name!r} has the shape {list(values.shape)} and the type {values.dtype}; inputs must be real "
            "numbers [examples, ...]."
        )
    if values.dtype != torch.uint8 or values.ndim not in (3, 4):
        return values.float().contiguous()
    pictures = values[:, None] if values.ndim == 3 else values
    if pictures.shape[-1] in (1, 3) and pictures.shape[1] not in (1, 3):
        raise DataError(
            "dataset=tensors: "
            f"{name!r} has the shape {list(values.shape)}, which looks like [examples, height, width, "
            "channels]; pictures must be [examples, channels, height, width]."
        )
    return pictures.contiguous()


def _labels(name: str, values: Tensor) -> Tensor:
    whole = not values.is_complex() and (not values.is_floating_point() or bool((values == values.round()).all()))
    if values.ndim != 1 or not whole:
        raise DataError(
            "dataset=tensors: "
            f"{name!r} has the shape {list(values.shape)} and the type {values.dtype}; labels must be whole "
            "class numbers [examples], counted from 0; for numbers to be answered, give dataset.task=regression."
        )
    return values.long()


def _targets(name: str, values: Tensor) -> Tensor:
    if values.ndim not in (1, 2) or values.numel() == 0 or values.is_complex():
        raise DataError(
            "dataset=tensors: "
            f"{name!r} has the shape {list(values.shape)} and the type {values.dtype}; the targets of a regression "
            "must be real numbers [examples] or [examples, targets]."
        )
    return values.double().view(len(values), -1)


def _set_apart(options: TensorsOptions, path: Path, inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    if options.test_fraction is None:
        raise DataError(
            f"dataset.path={path} holds no test set ({options.x_test!r}, {options.y_test!r}); add one, or give "
            "dataset.test_fraction=0.2 to set examples apart."
        )
    if len(inputs) != len(labels) or (not options.regression and (labels < 0).any()):
        # Left to the checks that every source goes through, which say what is wrong.
        return inputs, labels, inputs, labels
    stays, apart = divide(labels, round(options.test_fraction * len(labels)), generator(options.seed, "test"))
    return inputs[stays], labels[stays], inputs[apart], labels[apart]


def _class_names(options: TensorsOptions, *labels: Tensor) -> tuple[str, ...]:
    if options.class_names is not None:
        return tuple(options.class_names)
    largest = max((int(part.max()) for part in labels if len(part)), default=-1)
    return tuple(str(number) for number in range(largest + 1))


def _target_names(options: TensorsOptions, targets: Tensor) -> tuple[str, ...]:
    count = targets.shape[1]
    if options.target_names is None:
        return ("target",) if count == 1 else tuple(f"target_{number}" for number in range(1, count + 1))
    if len(options.target_names) != count:
        raise ConfigError(
            f"dataset.target_names={options.target_names} is not allowed: {options.y_train!r} holds {count} "
            f"{'target' if count == 1 else 'targets'} for each example; give as many names."
        )
    return tuple(options.target_names)
