"""The whole state of a training on disk, so that a stopped one continues as if it had not stopped."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from distill.errors import CheckpointError
from distill.files import discard_drafts, write_bytes
from distill.models import pickles
from distill.models.pickles import HoldsCode

_FORMAT = 4


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes the state; a crash meanwhile leaves the file that was there before.

    Args:
        path: The file.
        state: Tensors, numbers, strings, and lists and dicts of them.

    Raises:
        CheckpointError: The file cannot be written; the one that was there before stays, and so may the training.
    """
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "torch": str(torch.__version__), **state}, buffer)
    try:
        write_bytes(path, buffer.getbuffer())
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror or error}; free some space or make the folder writable, or "
            "give store.dir=FOLDER elsewhere."
        ) from error


def load(path: Path, warn: Callable[[str], None]) -> dict[str, Any] | None:
    """The state that was saved, or `None` when there is none to continue from.

    Another version of torch rounds differently: what it began cannot be ended as if it had not stopped.

    Args:
        path: The file; nobody else may be writing it now.
        warn: Is told why a file that is there cannot be continued from.
    """
    discard_drafts(path)
    if not path.exists():
        return None
    state: Any = None
    try:
        _check_sums(path)
        state = pickles.load(path)
        reason = _foreign(state)
    except HoldsCode as error:
        reason = f"it {error}, and is not opened"
    except Exception as error:  # whatever the readers of torch and of archives raise on a broken file
        said = isinstance(error, OSError) and error.strerror
        reason = said or "it is damaged"
    if reason is None:
        return state
    warn(f"{path} cannot be read ({reason}); training starts over.")
    return None


def _check_sums(path: Path) -> None:
    """Compares the checksums that torch writes into its archive and does not look at when it reads."""
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise ValueError


def _foreign(state: Any) -> str | None:
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        return "another version of distill wrote it"
    if state["torch"] != torch.__version__:
        return f"torch {state['torch']} wrote it, and this is torch {torch.__version__}"
    return None


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Says in a sentence that a state does not fit what it is put into in this block.

    Args:
        path: Where the state comes from.

    Raises:
        CheckpointError: It does not fit.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is no state of this training ({type(error).__name__}); "
            f"`distill store rm {path.parent.name}` lets it start over."
        ) from error


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's own generators, which dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Puts torch's own generators back to a saved state."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
