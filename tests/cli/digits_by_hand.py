"""The bundled digits and what a network of one hidden layer says of them, with nothing but numpy."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def digits() -> tuple[np.ndarray, np.ndarray]:
    """All test pictures `[540, 8, 8]` uint8 of 0..16, and their labels."""
    with (
        resources.files("distill.data.sources").joinpath("digits.npz").open("rb") as stream,
        np.load(stream) as arrays,
    ):
        return arrays["x_test"], arrays["y_test"]


def asked(run: Path, pictures: np.ndarray, role: str = "student") -> np.ndarray:
    """Probabilities `[pictures, 10]` by a perceptron of a run; pictures `[pictures, 8, 8]` of 0..16."""
    learned = json.loads((run / "run.json").read_text())["dataset"]["normalization"]
    tensors = load_file(run / "checkpoints" / f"{role}.safetensors")
    inputs = (pictures.reshape(len(pictures), -1).astype(np.float64) - learned["offset"][0]) * learned["scale"][0]
    hidden = np.maximum(inputs @ tensors["hidden.0.0.weight"].T + tensors["hidden.0.0.bias"], 0)
    logits = hidden @ tensors["classifier.weight"].T + tensors["classifier.bias"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
