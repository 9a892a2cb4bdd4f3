"""What a run recorded that a card of one of its networks tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from distill.errors import DistillError
from distill.results import records
from distill.results.collect import collect, details
from distill.results.find import find_run
from distill.results.rows import Row, read_csv
from distill.results.study import Group, Study, study

_USUAL = {"teacher", "baseline", "student"}
_GROUPS = {"teacher", "student", "dataset", "method", "hparams"}  # of a config, which the card tells


@dataclass(frozen=True)
class Facts:
    """One network of a run that has finished.

    Attributes:
        folder: Of the run.
        role: Of the network.
        run: The run's `run.json`.
        config: Its `config.resolved.yaml`.
        rows: Its `results.csv` by role, teacher first.
        details: What `details.json` says of the network; empty where there is no such file.
        sweep: What the runs of its sweep show together; `None` for a run of its own.
        setting: The student's setting in that sweep, over all its seeds.
    """

    folder: Path
    role: str
    run: dict[str, Any]
    config: dict[str, Any]
    rows: dict[str, Row]
    details: dict[str, Any]
    sweep: Study | None = None
    setting: Group | None = None

    @property
    def row(self) -> Row:
        """The network's own row."""
        return self.rows[self.role]

    @property
    def dataset(self) -> dict[str, Any]:
        """What the run recorded of its data, as the network sees them."""
        data = self.run["dataset"]
        return {**data, **data.get("variants", {}).get(data.get("seen", {}).get(self.role), {})}

    @property
    def options(self) -> str:
        """Under which key of the config its options stand: a baseline has those of the student."""
        return "teacher" if self.role == "teacher" else "student"

    @property
    def taught(self) -> bool:
        """Whether a method taught it, and not labels alone."""
        return self.row.get("method") not in (None, "", "none")

    @property
    def teacher(self) -> Row | None:
        """The row of the network that taught it, where no other of the run can have."""
        return self.rows.get("teacher") if self.role == "student" and set(self.rows) <= _USUAL else None

    @property
    def pictures(self) -> bool:
        """Whether it learned from pictures."""
        return self.dataset.get("maximum") is not None and len(self.dataset["input_shape"]) == 3


def read(path: Path, role: str | None) -> Facts:
    """Reads a run.

    Args:
        path: Its folder, or a file in it, such as `checkpoints/student.safetensors`.
        role: Of the network; `None` takes the one whose weights were named, else the last that was trained.

    Raises:
        DistillError: There is no such run, it has not finished, or it has no such network.
    """
    folder = find_run(path)
    run = records.read(folder)
    if run["status"] != "finished":
        raise DistillError(f"{folder} has not finished ({run['status']}): a card is of a run that has.")
    rows = {str(row["role"]): row for row in read_csv(folder / "results.csv")}
    config = _config(folder / "config.resolved.yaml")
    if not (isinstance(run.get("dataset"), dict) and config.keys() >= _GROUPS):
        raise DistillError(f"{folder} does not say what was trained: it is damaged, or of an older version.")
    if role is None:
        role = path.stem if path.suffix == ".safetensors" else list(rows)[-1]
    if role not in rows:
        raise DistillError(f"--role {role} is not allowed: {folder} has {', '.join(rows)}.")
    known = details(folder).get("networks", {}).get(role) or {}
    facts = Facts(folder, role, run, config, rows, known)
    return _with_sweep(facts) if run.get("sweep") is True else facts


def _config(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _with_sweep(facts: Facts) -> Facts:
    found = collect([facts.folder.parent])
    outcome = study(found.rows, found.runs)
    same = (group for group in outcome.groups if facts.row["signature"] in set(group.rows["signature"]))
    return replace(facts, sweep=outcome, setting=next(same, None))
