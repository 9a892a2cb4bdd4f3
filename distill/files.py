"""Files that are either whole or absent: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distill.errors import DistillError

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def replacing(path: Path, lasting: bool = True) -> Iterator[Path]:
    """A path to write to; what stands there at the end of the block takes the place of `path`.

    A reader, or a crash, meets the old file or the whole new one; when the block fails, the old one stays.

    Args:
        path: The file; missing folders are made.
        lasting: Whether it must outlast a power cut, for which the disk is waited for.

    Raises:
        OSError: The file cannot be written; its `filename` says which.
    """
    # A name of its own for every writer: jobs of one sweep may write the same file at the same time.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        if lasting:
            _sync(draft)
        os.replace(draft, path)
        if lasting:
            sync_folder(path.parent)
    except OSError as error:
        # A full disk is found by a call that knows no name.
        if error.errno is not None and error.filename in (None, str(draft)):
            error.filename = str(path)
        raise
    finally:
        # Also when all went well: renaming a hard link onto another one of the same file leaves both.
        with suppress(OSError):
            draft.unlink()


def require_writable(path: Path) -> None:
    """Finds before long work what would keep its outcome from being written; nothing is made.

    Args:
        path: Of the file to be written later.

    Raises:
        OSError: It cannot be written; its `filename` says which.
    """
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir():
        number, at = errno.EISDIR, path
    elif not folder.is_dir():
        number, at = errno.ENOTDIR, folder
    elif not os.access(folder, os.W_OK | os.X_OK):
        number, at = errno.EACCES, path
    else:
        return
    raise OSError(number, os.strerror(number), str(at))


def write_bytes(path: Path, data: bytes | memoryview, lasting: bool = True) -> Path:
    """Writes `data` to `path` so that a reader, or a crash, never meets half a file.

    Args:
        path: Where to; missing folders are made.
        data: The whole content.
        lasting: As for `replacing`.

    Returns:
        `path`.

    Raises:
        OSError: The file cannot be written; its `filename` says which.
    """
    with replacing(path, lasting) as draft, draft.open("wb") as file:
        file.write(data)
    return path


def write_text(path: Path, text: str) -> Path:
    """Like `write_bytes`, for text in UTF-8."""
    return write_bytes(path, text.encode())


def discard_drafts(path: Path) -> None:
    """Removes what killed writers of `path` left beside it; nobody may be writing it now."""
    for draft in path.parent.glob(f".{path.name}.*.tmp"):
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes what was renamed into a folder outlast a power cut, where the file system can."""
    if os.name == "posix":
        with suppress(OSError):  # network file systems may know no such thing, and the file itself is safe
            _sync(folder)


def unwritable(key: str, value: str | Path, error: OSError) -> DistillError:
    """What to tell the user of a write that failed.

    Args:
        key: What names the folder on the command line, such as `output`.
        value: The folder.
        error: What the system said.
    """
    again = "and give the same command again: what was finished is kept"
    if error.errno in _FULL:
        advice = f"free some space, or give {key}=FOLDER on another disk, {again}"
    elif error.errno == errno.ENOENT:
        advice = f"it was deleted, or cannot be made there: give the same command again, or another {key}=FOLDER"
    else:
        advice = f"make it writable, or give {key}=FOLDER where it is, {again}"
    file = f"{error.filename}: " if error.filename and Path(error.filename) != Path(value) else ""
    return DistillError(f"{key}={value} cannot be written: {file}{error.strerror or error}; {advice}.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
