"""How far a training is, as `progress.json` in its folder tells while it goes on: information of a moment."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from distill.results import process
from distill.results.measures import ACCURACY, R2

PROGRESS = "progress.json"
_SECONDS_BETWEEN_WRITES = 1.0


class ProgressFile:
    """Writes the file, and removes it when its block ends.

    Nothing is worth failing for here: what cannot be written is not, and nothing is synced to the disk.

    Args:
        folder: Of a run, or of a sweep whose networks are trained as one; nothing is written before it is there.
    """

    def __init__(self, folder: Path):
        self._path = folder / PROGRESS
        self._roles: list[str] = []
        self._facts: dict[str, Any] = {}
        self._began = (0.0, 0.0)  # seconds, share done: of this sitting
        self._written = float("-inf")  # seconds

    def __enter__(self) -> ProgressFile:
        return self

    def __exit__(self, *raised: object) -> None:
        with suppress(OSError):
            self._path.unlink()

    def plan(self, roles: list[str]) -> None:
        """Learns which networks there will be."""
        self._roles = roles

    def waiting(self, role: str) -> None:
        """Another process trains a network that is needed here."""
        if (self._facts.get("role"), self._facts.get("state")) == (role, "waiting"):
            self._write()
        else:
            self._turn(role, "waiting")

    def begin(self, role: str, networks: int = 1) -> None:
        """Training starts, of one network or of a stack of them."""
        self._turn(role, "training", networks=networks)
        self._began = (0.0, 0.0)

    def step(self, role: str, epoch: int, epochs: int, share: float, loss: float) -> None:
        """Some steps are done; `share` of all, 0..1."""
        now = time.monotonic()
        if self._began == (0.0, 0.0):
            self._began = (now, share)  # a training that goes on begins anywhere
        began, first = self._began
        left = (now - began) / (share - first) * (1 - share) if share > first else None
        self._facts |= {"epoch": epoch, "epochs": epochs, "share": share, "loss": loss, "seconds_left": left}
        self._write()

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """An epoch is done."""
        names = (f"{split}_{measure.name}" for split in ("train", "val", "test") for measure in (ACCURACY, R2))
        self._facts |= {name: row[name] for name in names if name in row}
        self._facts |= {"epoch": row["epoch"], "epochs": epochs, "share": row["epoch"] / epochs, "loss": row["loss"]}
        self._write()

    def _turn(self, role: str, state: str, **facts: Any) -> None:
        number = self._roles.index(role) + 1 if role in self._roles else 1
        place = {"role": role, "number": number, "of": max(1, len(self._roles))}
        self._facts = {**place, "state": state, **facts, "process": process.this()}
        self._write(now=True)

    def _write(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._written < _SECONDS_BETWEEN_WRITES:
            return
        self._written = moment
        draft = self._path.with_name(f".{PROGRESS}.{os.getpid()}.tmp")
        with suppress(OSError):
            draft.write_text(json.dumps({**self._facts, "updated": time.time()}), encoding="utf-8")
            os.replace(draft, self._path)


def read(folder: Path) -> dict[str, Any] | None:
    """What the file says; `None` where nothing trains, or nobody has told yet."""
    try:
        facts = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
