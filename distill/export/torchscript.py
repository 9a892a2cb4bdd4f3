"""TorchScript: what C++ and mobile programs of some years load; torch still writes it, and calls it deprecated."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.export.content import Content, Predict

_FACTS = "distill.json"


def write(content: Content, path: Path) -> dict[str, Any]:
    """Writes the trace of a forward pass, with the facts as its extra file `distill.json`."""
    with _quiet(), torch.no_grad():
        # Traced once more to compare, it would only say what the check of the file says anyway.
        traced = torch.jit.trace(content.prepared, content.example, check_trace=False)
        torch.jit.save(traced, str(path), _extra_files={_FACTS: json.dumps(content.facts, indent=1)})
    return {}


def read(path: Path, content: Content) -> Predict:
    """The trace, run by torch."""
    with _quiet():
        module = torch.jit.load(str(path), map_location="cpu")

    def predict(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return module(inputs)

    return predict


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's advice to use another format, and its guesses of what a trace may have got wrong."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore
        yield
