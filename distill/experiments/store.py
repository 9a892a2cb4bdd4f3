"""Trained networks by signature, shared by all runs, sweeps and processes of an output folder."""

from __future__ import annotations

import hashlib
import json
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
from distill.files import sync_folder, unwritable, write_text

# Raise it when older versions of this program could not read what this one keeps.
FORMAT = 1

WEIGHTS = "weights.safetensors"
_ADAPTERS, _META = "adapters.safetensors", "meta.json"
_AROUND = ("format", "sha256", "seal")  # what stands in meta.json beside the record
# Folders of a moment: about to become a network, giving way to one, being removed.
_SCRATCH = (".new-", ".replaced-", ".old-")
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
        stack: How many networks were trained as one, with this one among them; each has its share of the seconds.
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
    stack: int = 1


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
        return self.folder / WEIGHTS

    @property
    def adapters(self) -> Path:
        """The file of what belongs to its method; only there where it has such."""
        return self.folder / _ADAPTERS

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*"))


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
            role: Its role; the caller holds its lock.
            signature: Its identity.
            warn: Is told what was wrong with a damaged one.

        Raises:
            DistillError: It cannot be read, or a newer version of this program keeps it in another way.
        """
        folder = self._folder(role, signature)
        if not folder.is_dir() and not self._bring_back(folder):
            return None
        try:
            return _read(folder, role, signature)
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
            reason = _META if isinstance(error, KeyError | TypeError) else error
        except OSError as error:
            # Not damaged, as far as anybody can tell: another user's, or a file server that is away.
            raise DistillError(
                f"store.dir={self.root} cannot be read: {error.filename}: {error.strerror}; make it readable, or give "
                "store.dir=FOLDER elsewhere."
            ) from error
        aside = folder.with_name(f"{folder.name}.damaged-{uuid.uuid4().hex[:6]}")
        with self._writing():
            folder.rename(aside)
        warn(f"The stored {role} {signature} is damaged ({reason}); it is set aside as {aside.name}.")
        return None

    def look(self, role: str, signature: str) -> Artifact | None:
        """The network if it is there and whole; nothing is said or repaired, and no lock is needed.

        Args:
            role: Its role.
            signature: Its identity.
        """
        try:
            return _read(self._folder(role, signature), role, signature)
        except (OSError, ValueError, KeyError, TypeError, DistillError):
            return None

    def put(self, record: Record, write: Callable[[Path, Path], None]) -> Artifact:
        """Keeps a network; readers see all of it or nothing.

        Args:
            record: What is known of it; the caller holds its lock.
            write: Writes the network's weights to the first path and, if it has any, adapters to the second.

        Raises:
            DistillError: The store cannot be written; what stood there, and the checkpoint, stay.
        """
        folder = self._folder(record.role, record.signature)
        fresh = self._beside(folder, "new")
        with self._writing():
            try:
                fresh.mkdir(parents=True)
                write(fresh / WEIGHTS, fresh / _ADAPTERS)
                write_text(fresh / _META, json.dumps(_meta(record, _digests(fresh)), indent=1))
                if folder.exists():
                    folder.rename(self._beside(folder, "replaced"))
                fresh.rename(folder)
                sync_folder(self.root)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                self._bring_back(folder)
                raise
        for rest in self.root.glob(f"{folder.name}.*"):
            if rest.suffix == ".partial" or rest.suffix.startswith(_SCRATCH):
                shutil.rmtree(rest, ignore_errors=True)
        return Artifact(folder, record)

    def amend(self, artifact: Artifact, record: Record) -> Artifact:
        """Records something else of a network that stays as it is.

        Args:
            artifact: The network; the caller holds its lock.
            record: What is known of it now.

        Raises:
            DistillError: The store cannot be written; what was recorded stays.
        """
        path = artifact.folder / _META
        with self._writing():
            digests = json.loads(path.read_text(encoding="utf-8"))["sha256"]
            write_text(path, json.dumps(_meta(record, digests), indent=1))
        return Artifact(artifact.folder, record)

    def _bring_back(self, folder: Path) -> bool:
        """Undoes half a replacement, the only moment at which a network is not in its place."""
        replaced = next(self.root.glob(f"{folder.name}.replaced-*"), None)
        if replaced is None or folder.exists():
            return False
        replaced.rename(folder)
        return True

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

        Raises:
            DistillError: The store cannot be written.
        """
        lock = self._lock_of(f"{role}-{signature}")
        while not lock.is_locked:
            try:
                with self._writing():
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
            or path.suffix.startswith(".damaged-")
            or (path.suffix.startswith(_SCRATCH) and _age(path) > _ABANDONED_AFTER)
        )

    def remove(self, folder: Path) -> None:
        """Forgets one network or leftover; runs keep their own copy of its weights.

        Raises:
            DistillError: Another process is training it right now, or the store cannot be written.
        """
        name = folder.name.partition(".")[0]
        try:
            with self._writing(), self._lock_of(name).acquire(timeout=0):
                gone = self._beside(self.root / name, "old")
                folder.rename(gone)
                shutil.rmtree(gone)
        except Timeout:
            raise DistillError(f"{folder.name} is being trained right now; stop that run first.") from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Timeout:  # which filelock calls an OSError
            raise
        except OSError as error:
            raise unwritable("store.dir", self.root, error) from error

    def _lock_of(self, name: str) -> FileLock:
        locks = self.root / "locks"
        with self._writing():
            locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / f"{name}.lock")

    def _folder(self, role: str, signature: str) -> Path:
        return self.root / f"{role}-{signature}"

    def _beside(self, folder: Path, purpose: str) -> Path:
        return self.root / f"{folder.name}.{purpose}-{uuid.uuid4().hex}"


def _read(folder: Path, role: str, signature: str) -> Artifact:
    meta = json.loads((folder / _META).read_text(encoding="utf-8"))
    if meta["seal"] != _seal(meta):
        raise ValueError(f"{_META} has changed since it was written")
    if meta["format"] != FORMAT:
        raise DistillError(
            f"{folder} is of another version of distill (it keeps networks in format {meta['format']}, and this one "
            f"in {FORMAT}): use that version, or give store.dir=FOLDER of its own to this one."
        )
    record = _record(meta)
    if (record.role, record.signature) != (role, signature):
        raise ValueError(f"it is {record.role}-{record.signature}")
    for name, digest in meta["sha256"].items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} has changed since it was written")
    return Artifact(folder, record)


def _record(meta: dict[str, Any]) -> Record:
    return Record(**{key: value for key, value in meta.items() if key not in _AROUND})


def _meta(record: Record, digests: dict[str, str]) -> dict[str, Any]:
    meta = {"format": FORMAT, "sha256": digests, **asdict(record)}
    return {**meta, "seal": _seal(json.loads(json.dumps(meta)))}  # as it will be read


def _seal(meta: dict[str, Any]) -> str:
    """A checksum of all else that the file says, in this and every later format."""
    said = {key: value for key, value in meta.items() if key != "seal"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _digest(path) for path in sorted(folder.iterdir())}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # removed between two looks
        return 0.0
