"""Files of torch, read without running any code that they may hold."""

from __future__ import annotations

import contextlib
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch


class HoldsCode(Exception):
    """A pickle that names something to call.

    Args:
        name: What it names, where that is known, such as `posix.system`.
    """

    def __init__(self, name: str | None):
        super().__init__(f"holds Python code{f' ({name})' if name else ''}, not only tensors")


def load(path: Path) -> Any:
    """What `torch.save` wrote, on the CPU.

    Args:
        path: The file, in either of torch's formats.

    Raises:
        HoldsCode: It would run code; nothing of it was run.
        Exception: Whatever torch's many readers raise on a damaged file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle protocol that torch does not read: callers say more
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        message = str(error)
        name = re.search(r"(?:GLOBAL |Unsupported class )([\w.]+)", message)
        if name or "TorchScript" in message or _names_code(path):
            raise HoldsCode(name[1] if name else None) from error
        raise


def _names_code(path: Path) -> bool:
    """Whether a pickle, bare or in torch's archive, that torch could not read names something to call."""
    named = False
    with contextlib.suppress(Exception):  # What breaks off may still have named it before.
        for opcode, _, _ in pickletools.genops(_pickled(path)):
            named = named or opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST")
    return named


def _pickled(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return archive.read(name)
