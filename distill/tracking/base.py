"""What every tracker offers, and what all of their options have in common."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from distill.config.options import Options
from distill.config.registry import Registry
from distill.errors import DistillError
from distill.files import unwritable
from distill.tracking.run import Row, Status


@dataclass(frozen=True, kw_only=True)
class TrackerOptions(Options):
    """Keys of every tracker.

    Attributes:
        run_name: What to call the run, or the group of a sweep's jobs; `None` takes the name of its folder.
    """

    # What must be installed, which the extra of the tracker's own name brings; empty where nothing must.
    package: ClassVar[str] = ""

    run_name: str | None = None

    def ready(self) -> None:
        """Finds out, before anything is trained, whether the tracker can start; writes nothing.

        Raises:
            DistillError: It cannot.
        """
        if self.package and not _installed(self.package):
            raise DistillError(f"tracker={self.name} needs an extra: pip install 'distill[{self.name}]'.")


@dataclass(frozen=True, kw_only=True)
class FolderOptions(TrackerOptions):
    """Keys of a tracker that writes to a folder.

    Attributes:
        dir: The folder; made when a run begins.
    """

    dir: str

    def ready(self) -> None:
        """Finds out whether the folder can be written as well."""
        super().ready()
        writable(f"tracker.{self.name}.dir", Path(self.dir))

    def folder(self, *below: str | None) -> Path:
        """A folder in it, made if it is not there.

        Raises:
            DistillError: It cannot be made.
        """
        folder = Path(self.dir, *(name for name in below if name))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(f"tracker.{self.name}.dir", self.dir, error) from error
        return folder


class Tracker(Protocol):
    """An open run of one tracker. Whatever its methods raise is told once, and the run goes on without it."""

    def log(self, rows: Sequence[Row]) -> None:
        """Takes epochs: rows of `metrics.csv`, each role's in order and none twice since the tracker was opened."""

    def result(self, rows: Sequence[Row], files: Sequence[Path]) -> None:
        """Takes the rows of `results.csv`, and the files that a run leaves."""

    def close(self, status: Status, error: str | None) -> None:
        """Ends the run; nothing else is called afterwards.

        Args:
            status: How it ended.
            error: Why, if it did not finish.
        """


# What opens a tracker's run, given its options and a `TrackedRun`.
trackers: Registry[Callable[[Any, Any], Tracker]] = Registry("tracker", "distill.tracking")


def writable(key: str, folder: Path) -> None:
    """Makes sure that a folder can be written, or made.

    Args:
        key: What names it on the command line.
        folder: Where it is, or is to be.

    Raises:
        DistillError: It cannot.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    number = errno.ENOTDIR if not there.is_dir() else 0 if os.access(there, os.W_OK) else errno.EACCES
    if number:
        raise unwritable(key, folder, OSError(number, os.strerror(number), str(there)))


def _installed(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    # A folder of that name, such as the one that wandb writes to, passes for a package without code.
    return spec is not None and spec.origin is not None
