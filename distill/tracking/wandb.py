"""A tracker for Weights & Biases; what it writes offline, `wandb sync` uploads later."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from distill.errors import DistillError
from distill.tracking.base import FolderOptions, trackers
from distill.tracking.run import Row, Status, TrackedRun, numbers, results

_EXIT_CODES: dict[Status, int] = {"finished": 0, "failed": 1, "interrupted": 130}
_LONGEST_TAG = 64  # characters


@dataclass(frozen=True, kw_only=True)
class WandbOptions(FolderOptions):
    """Options of `wandb`.

    Attributes:
        project: Where runs appear.
        entity: The user or team that owns it; `None` is the one who logged in.
        mode: `offline` writes to disk alone, `online` uploads, `disabled` does nothing.
        dir: Folder of what is written to disk, under `<dir>/wandb`.
    """

    package: ClassVar[str] = "wandb"

    project: str = "distill"
    entity: str | None = None
    mode: Literal["offline", "online", "disabled"] = "offline"
    dir: str = "outputs/tracking/wandb"

    def ready(self) -> None:
        """Finds out whether wandb is there and, to upload, knows who asks."""
        super().ready()
        if self.mode != "online":
            return
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        if not wandb.login(prompt=False):
            raise DistillError(
                "tracker.wandb.mode=online needs a login: run `wandb login`, or give tracker.wandb.mode=offline, which "
                "`wandb sync` uploads later."
            )


@trackers.register("wandb", WandbOptions)
class WandbTracker:
    """Each role's numbers over its own epochs; results as summary; overrides as tags; sweeps as groups."""

    def __init__(self, options: WandbOptions, run: TrackedRun):
        folder = options.folder()
        if options.mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # offline is offline
            if run.again:
                _forget(folder, run.identity)
        os.environ.setdefault("WANDB_SILENT", "true")  # of what it does with each file
        import wandb

        group, name = run.names(options.run_name)
        self._run = wandb.init(
            project=options.project,
            entity=options.entity,
            mode=options.mode,
            dir=str(folder),
            id=run.identity,
            resume="allow",
            group=group,
            name=name,
            job_type="train",
            tags=[f"{key}={value}"[:_LONGEST_TAG] for key, value in run.overrides.items()],
            config={**run.config, "command": run.command, "run_folder": str(run.folder)},
            reinit="create_new",  # the jobs of a sweep in one process follow one another
            settings=wandb.Settings(
                silent=True, console="off", save_code=False, disable_code=True, x_disable_stats=True, init_timeout=30
            ),
        )
        self._sent: dict[str, int] = {}

    def log(self, rows: Sequence[Row]) -> None:
        """Sends epochs."""
        for row in rows:
            role, epoch = row["role"], row["epoch"]
            if epoch > self._last(role):
                values = {f"{role}/{name}": value for name, value in numbers(row).items()}
                self._run.log({f"{role}/epoch": epoch, **values})

    def _last(self, role: str) -> int:
        """The last epoch that a run which goes on has sent already, as far as the server was reached."""
        if role not in self._sent:
            self._sent[role] = int(self._run.summary.get(f"{role}/epoch") or 0)
            self._run.define_metric(f"{role}/epoch", hidden=True)
            self._run.define_metric(f"{role}/*", step_metric=f"{role}/epoch")
        return self._sent[role]

    def result(self, rows: Sequence[Row], files: Sequence[Path]) -> None:
        """Sends results and files."""
        summary: dict[str, Any] = {}
        for role, floats, texts in results(list(rows)):
            summary |= {f"result/{role}/{name}": value for name, value in (floats | texts).items()}
        self._run.summary.update(summary)
        for path in files:
            self._run.save(str(path), base_path=str(path.parent), policy="now")

    def close(self, status: Status, error: str | None) -> None:
        """Ends the run; wandb calls one that did not finish failed."""
        self._run.summary.update({"status": status, **({"error": error} if error else {})})
        self._run.finish(exit_code=_EXIT_CODES[status])


def _forget(folder: Path, identity: str) -> None:
    """Removes what an earlier sitting of a run left and nobody has uploaded: the next one tells all of it again."""
    for old in folder.glob(f"wandb/offline-run-*-{identity}"):
        if not any(old.glob("*.synced")):
            shutil.rmtree(old, ignore_errors=True)
