"""Files that are either whole or absent: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> Path:
    """Writes `data` to `path` so that a reader, or a crash, never meets half a file.

    Args:
        path: Where to; missing folders are made.
        data: The whole content.

    Returns:
        `path`.

    Raises:
        OSError: The folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for every writer: jobs of one sweep may write the same file at the same time.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """Like `write_bytes`, for text in UTF-8."""
    return write_bytes(path, text.encode())
