"""Trained networks by signature, shared by all runs, sweeps and processes of an output folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from distill.errors import DistillError
from distill.files import write_text

_WEIGHTS, _ADAPTERS, _META = "weights.safetensors", "adapters.safetensors", "meta.json"
_ABANDONED_AFTER = 24 * 3600.0  # seconds
_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass(frozen=True)
class Record:
    """What is known of a stored network besides its weights.

    Attributes:
        role: `teacher`, `baseline` or `student`.
        signature: Its identity.
        model: How tables call it.
        dataset: What it learnt on.
        method: What it learnt from.
        ingredients: What the signature was computed from.
        history: One row per epoch.
        measures: Accuracy, size, latency and so on, as in the results table.
        predictions: Most likely class of each test example.
        seconds: Training time.
        created: Seconds since 1970.
        adapters: Parameters of the method's adapters, which are not part of the network.
    """

    role: str
    signature: str
    model: str
    dataset: str
    method: str
    ingredients: dict[str, Any]
    history: list[dict[str, Any]]
    measures: dict[str, Any]
    predictions: list[int]
    seconds: float
    created: float
    adapters: int = 0


@dataclass(frozen=True)
class Artifact:
    """A trained network on disk.

    Attributes:
        folder: Where it lies.
        record: What is known of it.
    """

    folder: Path
    record: Record

    @property
    def weights(self) -> Path:
        """The file of the network's weights."""
        return self.folder / _WEIGHTS

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


class Store:
    """A folder of trained networks.

    Args:
        root: The folder; made when something is put into it.
    """

    def __init__(self, root: Path):
        self.root = root

    def find(self, role: str, signature: str, warn: Callable[[str], None]) -> Artifact | None:
        """The network if it is there and whole; a damaged one is set aside with a warning.

        Args:
            role: Its role.
            signature: Its identity.
            warn: Is told what was wrong with a damaged one.
        """
        folder = self._folder(role, signature)
        if not folder.is_dir():
            return None
        try:
            return _read(folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            aside = folder.with_name(f"{folder.name}.damaged-{uuid.uuid4().hex[:6]}")
            folder.rename(aside)
            warn(f"The stored {role} {signature} is damaged ({error}); it is set aside as {aside.name}.")
            return None

    def put(self, record: Record, write: Callable[[Path, Path], None]) -> Artifact:
        """Keeps a network; readers see all of it or nothing.

        Args:
            record: What is known of it.
            write: Writes the network's weights to the first path and, if it has any, adapters to the second.
        """
        folder = self._folder(record.role, record.signature)
        fresh = self.root / f".new-{uuid.uuid4().hex}"
        fresh.mkdir(parents=True)
        try:
            write(fresh / _WEIGHTS, fresh / _ADAPTERS)
            meta = {"sha256": _digests(fresh), **asdict(record)}
            write_text(fresh / _META, json.dumps(meta, indent=1))
            if folder.exists():
                old = self.root / f".old-{uuid.uuid4().hex}"
                folder.rename(old)
                fresh.rename(folder)
                shutil.rmtree(old)
            else:
                fresh.rename(folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(self.checkpoint(record.role, record.signature).parent, ignore_errors=True)
        return Artifact(folder, record)

    def checkpoint(self, role: str, signature: str) -> Path:
        """Where the state of an unfinished training lies."""
        return self.root / f"{role}-{signature}.partial" / "checkpoint.pt"

    @contextmanager
    def lock(self, role: str, signature: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Holds the right to train a network; it ends with the process, however that ends.

        Args:
            role: Its role.
            signature: Its identity.
            waiting: Called again and again while another process holds it.
        """
        lock = self._lock_of(f"{role}-{signature}")
        while not lock.is_locked:
            try:
                lock.acquire(timeout=_SECONDS_BETWEEN_LOOKS)
            except Timeout:
                waiting()
        try:
            yield
        finally:
            lock.release()

    def artifacts(self) -> list[Artifact]:
        """Everything whole that is kept, newest first; nothing is verified or moved."""
        found: list[Artifact] = []
        for meta in sorted(self.root.glob(f"*-*/{_META}")):
            if "." in meta.parent.name:  # half written, being removed, or set aside
                continue
            try:
                found.append(Artifact(meta.parent, _record(json.loads(meta.read_text(encoding="utf-8")))))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return sorted(found, key=lambda artifact: -artifact.record.created)

    def leftovers(self) -> list[Path]:
        """Folders of unfinished and damaged trainings."""
        if not self.root.is_dir():
            return []
        return sorted(
            path
            for path in self.root.iterdir()
            if path.suffix == ".partial"
            or ".damaged-" in path.name
            or (path.name.startswith((".new-", ".old-")) and _age(path) > _ABANDONED_AFTER)
        )

    def remove(self, folder: Path) -> None:
        """Forgets one network or leftover; runs keep their own copy of its weights.

        Raises:
            DistillError: Another process is training it right now.
        """
        try:
            with self._lock_of(folder.name.split(".")[0]).acquire(timeout=0):
                gone = self.root / f".old-{uuid.uuid4().hex}"
                os.replace(folder, gone)
                shutil.rmtree(gone)
        except Timeout:
            raise DistillError(f"{folder.name} is being trained right now; stop that run first.") from None

    def _lock_of(self, name: str) -> FileLock:
        locks = self.root / "locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DistillError(
                f"store.dir={self.root} cannot be written: {error.strerror}; give store.dir=FOLDER where it can."
            ) from error
        return FileLock(locks / f"{name}.lock")

    def _folder(self, role: str, signature: str) -> Path:
        return self.root / f"{role}-{signature}"


def _read(folder: Path) -> Artifact:
    meta = json.loads((folder / _META).read_text(encoding="utf-8"))
    for name, digest in meta["sha256"].items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} has changed since it was written")
    return Artifact(folder, _record(meta))


def _record(meta: dict[str, Any]) -> Record:
    return Record(**{key: value for key, value in meta.items() if key != "sha256"})


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _digest(path) for path in sorted(folder.iterdir())}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
