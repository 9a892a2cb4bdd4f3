"""A run as trackers know it: its name, its group, its config, and the names of its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Row = Mapping[str, Any]
Status = Literal["finished", "failed", "interrupted"]

# What says where a row belongs, and is no number to be drawn.
_PLACE = ("role", "epoch", "step")


@dataclass(frozen=True)
class TrackedRun:
    """One run of `distill train`.

    Attributes:
        folder: Where it leaves its files.
        sweep: Name of the sweep that it is a job of, if it is.
        config: All its settings but those of trackers, references followed.
        overrides: Those of them that the user gave, as written.
        command: The command line.
        again: Whether an earlier command began it in the same folder, so that trackers may know it.
    """

    folder: Path
    sweep: str | None
    config: Mapping[str, Any]
    overrides: Mapping[str, str]
    command: str
    again: bool = False

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that stay when the run goes on in its folder, and that no other run has."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]

    def names(self, given: str | None) -> tuple[str | None, str]:
        """What to call the group, if there is one, and the run.

        Args:
            given: What the user calls it; in a sweep, whose jobs need names of their own, this names the group.
        """
        if self.sweep is None:
            return None, given or self.folder.name
        return given or self.sweep, self.folder.name


def numbers(row: Row) -> dict[str, float]:
    """What can be drawn of an epoch: losses, accuracies (0..1), learning rate, seconds."""
    return {key: float(value) for key, value in row.items() if key not in _PLACE and isinstance(value, int | float)}


def results(rows: list[Row]) -> Iterator[tuple[str, dict[str, float], dict[str, str]]]:
    """For each network of a results table its role, its numbers by column, and its texts by column."""
    for row in rows:
        known = {key: value for key, value in row.items() if value not in (None, "") and key not in ("role", "run")}
        floats = {key: float(value) for key, value in known.items() if isinstance(value, int | float)}
        yield row["role"], floats, {key: str(value) for key, value in known.items() if key not in floats}


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by the key that the command line takes: `hparams.student.lr`."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
