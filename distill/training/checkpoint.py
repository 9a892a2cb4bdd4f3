"""The whole state of a training on disk, so that a stopped one continues as if it had not stopped."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import torch

from distill.files import write_bytes

_FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes the state; a crash meanwhile leaves the file that was there before.

    Args:
        path: The file.
        state: Tensors, numbers, strings, and lists and dicts of them.
    """
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, **state}, buffer)
    write_bytes(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any] | None:
    """The state that was saved, or `None` when there is none that can be read."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its many readers raise on a broken file
        warnings.warn(f"{path} cannot be read ({error}); training starts over.", stacklevel=2)
        return None
    return state if isinstance(state, dict) and state.get("format") == _FORMAT else None


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's own generators, which dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Puts torch's own generators back to a saved state."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
