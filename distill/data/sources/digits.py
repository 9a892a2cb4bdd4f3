"""Real handwritten digits that ship inside the package, so that everything works offline.

1,797 pictures of 8x8 pixels, 0..16: the test part of "Optical Recognition of Handwritten Digits" by
E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licence
CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), as distributed by scikit-learn (`load_digits`).
Changed by us: stored as bytes, and divided once and for all, stratified by class, into 1,257 pictures to
train on and 540 to test on; the same writers appear in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
import torch

from distill.config.dataset_options import DatasetOptions
from distill.data.source import Source
from distill.data.sources import datasets


@dataclass(frozen=True, kw_only=True)
class DigitsOptions(DatasetOptions):
    """Nothing to choose beyond what every data set offers."""

    name: str = "digits"


@datasets.register("digits", DigitsOptions)
def load(options: DigitsOptions) -> Source:
    """Reads the digits out of the package."""
    file = resources.files("distill.data.sources").joinpath("digits.npz")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return Source(
        train_inputs=tensors["x_train"][:, None],
        train_labels=tensors["y_train"].long(),
        test_inputs=tensors["x_test"][:, None],
        test_labels=tensors["y_test"].long(),
        classes=tuple("0123456789"),
        maximum=16.0,
    )
