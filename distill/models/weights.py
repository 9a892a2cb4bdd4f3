"""Files of weights: written whole or not at all, read without running any code that they may hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from distill.errors import CheckpointError
from distill.files import write_bytes
from distill.models import pickles
from distill.models.pickles import HoldsCode
from distill.models.taps import default_taps

PICKLES = (".pt", ".pth", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
PREFIXES = ("module.", "_orig_mod.")


def save(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Writes a state dict as safetensors; a reader sees the old file or the whole new one.

    Args:
        tensors: What `network.state_dict()` gives, on any device.
        path: Where to; missing folders are made.

    Raises:
        OSError: The file cannot be written; its `filename` says which.
    """
    # safetensors refuses memory that two names share, so that every tensor is copied. Its own writer makes files that
    # only their owner can read, and a store may be shared.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    write_bytes(Path(path), safetensors.torch.save(copies))


def load(path: str | os.PathLike[str], key: str = "checkpoint") -> dict[str, Tensor]:
    """Reads a state dict onto the CPU.

    Args:
        path: A `.safetensors` file, or a `.pt`, `.pth`, `.bin` or `.ckpt` file of torch. The wrappings that
            training scripts add (`state_dict`, `model`, ..., a leading `module.` or `_orig_mod.`) are
            taken off.
        key: What the user calls this file in the config, for messages.

    Raises:
        CheckpointError: The file is missing, not readable, corrupt, not made of tensors, or a pickle that
            would run code.
    """
    path = Path(path)
    _require_file(path, key)
    if path.suffix == ".safetensors":
        try:
            content: Any = safetensors.torch.load_file(path)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise CheckpointError(_corrupt(path, key, error)) from error
    elif path.suffix in PICKLES:
        content = _unpickle(path, key)
    else:
        allowed = ", ".join([".safetensors", *PICKLES])
        raise CheckpointError(f"{key}={path} is not allowed: the file's name must end in one of {allowed}.")
    return _unwrap(content, path, key)


def load_into(network: nn.Module, path: str | os.PathLike[str], key: str = "checkpoint") -> None:
    """Loads a file of weights into a network, which must match it name by name and shape by shape.

    Args:
        network: Changed in place, only if everything fits.
        path: As for `load`.
        key: What the user calls this file in the config, such as `teacher.checkpoint`.

    Raises:
        CheckpointError: As for `load`, or the weights do not fit.
    """
    tensors = load(path, key)
    wanted = network.state_dict()
    misshapen = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    parts = [
        _sample("missing", [name for name in wanted if name not in tensors]),
        _sample("unexpected", [name for name in tensors if name not in wanted]),
        _sample("misshapen", [_shapes(name, tensors[name], wanted[name]) for name in misshapen]),
    ]
    if any(parts):
        raise CheckpointError(
            f"{key}={path} does not fit the network: {'; '.join(filter(None, parts))}; "
            f"{_advice(network, tensors, wanted, misshapen)}."
        )
    network.load_state_dict(tensors)


def file_digest(path: str | os.PathLike[str], key: str = "checkpoint") -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        CheckpointError: The file is missing or not readable.
    """
    _require_file(Path(path), key)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_file(path: Path, key: str) -> None:
    if not path.exists():
        raise CheckpointError(f"{key}={path} cannot be read: there is no such file.")
    if not path.is_file():
        raise CheckpointError(f"{key}={path} cannot be read: it is not a file; name the file of weights itself.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise CheckpointError(f"{key}={path} cannot be read: {_reason(error)}.") from error


def _unpickle(path: Path, key: str) -> Any:
    try:
        return pickles.load(path)
    except HoldsCode as error:
        raise CheckpointError(
            f"{key}={path} {error}; refused: save its state dict alone, as .safetensors or with "
            "torch.save(network.state_dict(), path)."
        ) from error
    except Exception as error:  # A damaged pickle can raise nearly anything.
        raise CheckpointError(_corrupt(path, key, error)) from error


def _unwrap(content: Any, path: Path, key: str) -> dict[str, Tensor]:
    # Beside the state dict there may be a tensor, too, such as the accuracy in RepDistiller's files.
    while isinstance(content, Mapping) and not all(isinstance(value, Tensor) for value in content.values()):
        inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{key}={path} is not allowed: it must hold a state dict, tensors by name.")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) != len(content):
        odd = next(name for name, value in content.items() if not isinstance(value, Tensor))
        raise CheckpointError(
            f"{key}={path} is not allowed: it must hold a state dict, tensors by name, and {odd!r} is "
            f"{type(content[odd]).__name__}."
        )
    while prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _corrupt(path: Path, key: str, error: Exception) -> str:
    said = f" ({_reason(error)})" if isinstance(error, OSError | RuntimeError | SafetensorError) else ""
    named = path if key == str(path) else f"{key}={path}"
    return f"{named} cannot be read: it is damaged or not a file of weights{said}."


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return re.split(r"\.\s|\n", text)[0].rstrip(".")


def _sample(what: str, names: list[str]) -> str:
    return f"{len(names)} {what} (first: {names[0]})" if names else ""


def _shapes(name: str, given: Tensor, wanted: Tensor) -> str:
    return f"{name} is {_shape(given)}, needed {_shape(wanted)}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _advice(
    network: nn.Module, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], misshapen: list[str]
) -> str:
    head = f"{default_taps(network).embedding}.weight"
    if head in misshapen and tensors[head].shape[1:] == wanted[head].shape[1:]:
        return f"the file is for {len(tensors[head])} classes and the network has {len(wanted[head])}"
    return "choose the model that the file was saved from"
