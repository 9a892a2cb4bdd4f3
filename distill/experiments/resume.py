"""`distill train resume=FOLDER`: what was asked for there, so that it can go on in the same folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.results.process import is_alive

_KEY = "resume"


@dataclass(frozen=True)
class Earlier:
    """A command of an earlier day.

    Attributes:
        folder: Of its run or sweep.
        words: What followed `distill train`.
        directory: Where it was given.
        began: When, seconds since 1970.
        sweep: Whether it was a sweep.
        finished: Whether a single run has nothing left to do.
    """

    folder: Path
    words: list[str]
    directory: Path
    began: float
    sweep: bool
    finished: bool

    @property
    def place(self) -> str:
        """The override that makes Hydra use the same folder again."""
        quoted = str(self.folder).replace("\\", "\\\\").replace("'", "\\'")
        return f"hydra.{'sweep' if self.sweep else 'run'}.dir='{quoted}'"


def earlier(words: Sequence[str]) -> Earlier | None:
    """What a command line asks to continue; `None` when it asks for no such thing.

    Args:
        words: The command line after `distill train`.

    Raises:
        DistillError: The folder is not that of a run or sweep that can go on, or other words stand beside it.
    """
    given = next((word for word in words if word.lstrip("+").partition("=")[0] == _KEY), None)
    if given is None:
        return None
    shown = given.lstrip("+")
    others = [word for word in words if word != given]
    if others:
        raise DistillError(
            f"{shown} takes no other words, as {' '.join(others)} would make it another experiment: "
            "leave them out, or give a whole command without resume."
        )
    path = Path(shown.partition("=")[2] or "-")
    if not path.is_dir():
        raise DistillError(f"{shown} is not allowed: there is no such folder; give one under outputs/runs or sweeps.")
    folder = path.resolve()
    facts, sweep = _facts(folder, shown)
    return Earlier(
        folder=folder,
        words=facts["words"],
        directory=Path(facts["directory"]),
        began=facts["began"],
        sweep=sweep,
        finished=not sweep and facts["status"] == "finished",
    )


def _facts(folder: Path, shown: str) -> tuple[dict[str, Any], bool]:
    """What one run of the folder recorded of its command, and whether the folder is a sweep's."""
    own = folder / "run.json"
    records = [own] if own.exists() else sorted(folder.glob("*/run.json"))
    if not records:
        raise DistillError(f"{shown} is not allowed: no run has begun there, as it holds no run.json.")
    found = [_read(record, shown) for record in records]
    sweep = not own.exists()
    if not sweep and found[0]["sweep"]:
        raise DistillError(f"{shown} is a job of a sweep: continue all of it with resume={Path(shown[7:]).parent}.")
    if sweep and len({tuple(facts["words"]) for facts in found}) > 1:
        raise DistillError(f"{shown} holds several runs: give the folder of one of them.")
    running = next((facts for facts in found if facts["status"] == "running" and is_alive(facts["process"])), None)
    if running is not None:
        raise DistillError(f"{shown} is still running, in process {running['process']['pid']}: wait for it or stop it.")
    return found[0], sweep


def _read(record: Path, shown: str) -> dict[str, Any]:
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        wanted = {"words": list, "directory": str, "began": float, "sweep": bool, "status": str, "process": dict}
        if all(isinstance(facts[key], kind) for key, kind in wanted.items()):
            return facts
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DistillError(
        f"{shown} cannot go on: {record.name} in {record.parent.name} does not say what was asked for, as one of "
        "another version does not; give the same command again."
    )
