"""Finds run folders on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from distill.config.words import did_you_mean
from distill.errors import DistillError

RECORD = "run.json"
_NO_RUNS = {"store", "cache", "tracking"}


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The run folders at or below some paths, in natural order (`2_...` before `10_...`), each once.

    Args:
        paths: Runs, sweeps, folders that hold them, or files inside a run or sweep.

    Raises:
        DistillError: A path does not exist, or there is no run at or below it.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DistillError(_absent(path))
        below = sorted(_within(path), key=_natural)
        if not below:
            raise DistillError(
                f"There is no run in {path}: a run is a folder with a {RECORD}, "
                "which `distill train` leaves under outputs/runs or outputs/sweeps."
            )
        for folder in below:
            found.setdefault(os.path.realpath(folder), folder)
    return list(found.values())


def around(path: Path) -> Path | None:
    """The run that a path is, or lies in; `None` where there is none."""
    path = Path(os.path.normpath(path))
    return next((up for up in (path, *path.parents, *path.absolute().parents) if (up / RECORD).is_file()), None)


def find_run(path: Path) -> Path:
    """The run that a path is, or lies in.

    Args:
        path: As the user gave it.

    Raises:
        DistillError: There is none.
    """
    if not path.exists():
        raise DistillError(f"There is no {path}: give the folder of a run, as under outputs/runs.")
    found = around(path)
    if found is not None:
        return found
    below = sorted(record.parent for record in path.glob(f"*/{RECORD}"))
    if below:
        raise DistillError(f"{path} holds several runs: give the folder of one of them, such as {below[-1]}.")
    raise DistillError(
        f"{path} is not a run: a run is a folder with a {RECORD}, which `distill train` leaves under outputs/runs."
    )


def names(folders: Iterable[Path]) -> list[str]:
    """A name for each run folder, none twice: the folder's own, after its sweep's for a job of a sweep."""
    taken: set[str] = set()
    found = []
    for folder in folders:
        name = f"{folder.parent.name}/{folder.name}" if folder.parent.parent.name == "sweeps" else folder.name
        name = str(folder) if name in taken else name  # two `outputs` may both have a job `0_...` of one moment
        taken.add(name)
        found.append(name)
    return found


def _absent(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    word = path.relative_to(folder).parts[0]
    hint = did_you_mean(word, (child.name for child in folder.iterdir()))
    return f"There is no {path}: {folder} holds no '{word}'{hint}; runs lie under outputs/runs and outputs/sweeps."


def _within(path: Path) -> Iterable[Path]:
    if path.is_dir():
        os.scandir(path).close()  # os.walk would take a folder that may not be read for an empty one
        return _below(path)
    # A file that lies elsewhere was given by mistake, and what lies beside it was not asked for.
    home = path.parent
    return _below(home) if (home / RECORD).exists() or home.parent.name == "sweeps" else []


def _below(path: Path) -> Iterable[Path]:
    for folder, inside, files in os.walk(path):
        inside[:] = [name for name in inside if name not in _NO_RUNS]
        if RECORD in files:
            inside.clear()
            yield Path(folder)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]
