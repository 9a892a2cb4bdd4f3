"""What a data set is before any option is applied to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.data.pictures import Pictures
from distill.errors import DataError


@dataclass(frozen=True)
class Source:
    """Training and test examples as they were found.

    Attributes:
        train_inputs: `[examples, channels, height, width]` uint8 for pictures, `[examples, ...]` float32
            otherwise; `Pictures` when they do not fit into memory.
        train_labels: `[examples]` int64 class numbers; `[examples, targets]` floats, in their own units, where there
            are `targets`.
        test_inputs: Like `train_inputs`.
        test_labels: Like `train_labels`.
        classes: Name of each class; none where there are `targets`.
        maximum: The value of white in uint8 pictures.
        identity: What stands for the inputs in the fingerprint; `None` takes the inputs themselves.
        statistics_of: From how many training examples at most, evenly spread, `normalize=data` takes its mean
            and standard deviation; `None` takes all.
        targets: Name of each real-valued target.
    """

    train_inputs: Tensor | Pictures
    train_labels: Tensor
    test_inputs: Tensor | Pictures
    test_labels: Tensor
    classes: tuple[str, ...]
    maximum: float = 255.0
    identity: str | None = None
    statistics_of: int | None = None
    targets: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 of everything that was loaded, or of what stands for it, as 64 hexadecimal digits."""
        named = (self.targets,) if self.targets else ()
        digest = hashlib.sha256(repr((self.classes, self.maximum, *named)).encode())
        for tensor in (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels):
            if self.identity is not None and tensor.ndim > 1:
                digest.update(self.identity.encode())
                continue
            assert isinstance(tensor, Tensor)
            digest.update(repr((str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.contiguous().numpy().reshape(-1).view("uint8").data)
        return digest.hexdigest()

    def check(self, name: str) -> None:
        """Makes sure that one can learn from this.

        Args:
            name: What the data set is called, for the message.

        Raises:
            DataError: Something about the examples or the labels is wrong.
        """
        if len(self.classes) < 2 and not self.targets:
            raise DataError(f"{name} has {len(self.classes)} class; telling classes apart needs at least two.")
        for role, inputs, labels in (
            ("training", self.train_inputs, self.train_labels),
            ("test", self.test_inputs, self.test_labels),
        ):
            _check_lengths(name, role, inputs, labels)
            if self.targets:
                _check_targets(name, role, labels, len(self.targets))
            else:
                _check_labels(name, role, labels, len(self.classes))
            _check_finite(name, f"{role} inputs", inputs)
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise DataError(
                f"{name}: training inputs have the shape {list(self.train_inputs.shape[1:])}, test inputs "
                f"{list(self.test_inputs.shape[1:])}; they must be the same."
            )


def _check_lengths(name: str, role: str, inputs: Tensor | Pictures, labels: Tensor) -> None:
    if len(inputs) != len(labels):
        raise DataError(
            f"{name}: there are {len(inputs)} {role} inputs and {len(labels)} {role} labels; every input "
            "needs one label."
        )
    if len(labels) == 0:
        raise DataError(f"{name} has no {role} examples.")


def _check_labels(name: str, role: str, labels: Tensor, classes: int) -> None:
    wrong = ((labels < 0) | (labels >= classes)).nonzero().flatten()
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{name}: {len(wrong)} of {len(labels)} {role} labels are outside 0..{classes - 1} ({classes} "
            f"classes); the first is {int(labels[first])}, of example {first}."
        )


def _check_targets(name: str, role: str, targets: Tensor, count: int) -> None:
    if targets.ndim != 2 or targets.shape[1] != count:
        raise DataError(
            f"{name}: the {role} targets have the shape {list(targets.shape)}; they must be [examples, {count}]."
        )
    _check_finite(name, f"{role} targets", targets)


def _check_finite(name: str, what: str, inputs: Tensor | Pictures) -> None:
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return
    broken = ~torch.isfinite(inputs).flatten(1).all(1)
    if broken.any():
        first = int(broken.nonzero()[0])
        values = int((~torch.isfinite(inputs)).sum())
        held = "1 value that is" if values == 1 else f"{values} values that are"
        raise DataError(
            f"{name}: the {what} hold {held} NaN or infinite, in "
            f"{int(broken.sum())} of {len(inputs)} examples, first in example {first}; remove or replace "
            "them."
        )
