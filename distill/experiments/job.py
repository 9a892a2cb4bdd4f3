"""What Hydra calls with each config that it composes: one run, here or in a worker of a sweep."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.text import Text

from distill.errors import ConfigError, DistillError
from distill.files import write_text
from distill.results import process
from distill.results.measures import known_score
from distill.training import torchrun
from distill.training.interrupt import Stop, polite

_LONGEST_FOLDER = 120  # characters; file systems allow 255 bytes
LOG = "log.txt"  # of a job that runs in a process of its own
STOPPED = ".stopped"  # in the folder of a sweep: by which signal; jobs that have not begun do not begin any more
_LOG_WIDTH = 120
_BOOKKEEPING = ("verbosity", "output", "store.dir", "store.reuse")


def folder_name(number: int, overrides: str) -> str:
    """A job's folder in a sweep: its number and what makes it different, fit for any file system."""
    name = re.sub(r"[^\w.,=@+\-\[\]]+", "-", f"{number}_{overrides}" if overrides else str(number))
    return name[:_LONGEST_FOLDER]


def prepare() -> None:
    """Readies Hydra, in this process or a worker, for conf/: its resolver, and launchers that plugins know as well."""
    OmegaConf.register_new_resolver("distill.folder", folder_name, replace=True)
    # A file of ours takes the place of a plugin's own defaults, and is still checked against the plugin's types.
    warnings.filterwarnings("ignore", message=r"\s*'hydra/\w+/\w+' is validated against ConfigStore schema")


prepare()  # a worker knows of this module and calls nothing before it composes


@dataclass
class Job:
    """One command, which becomes one run or the jobs of a sweep; launchers send it to their workers.

    Attributes:
        words: The command line after `distill train`.
        places: Those of them that say where things are.
        directory: Where the command was given.
        began: When it began, seconds since 1970.
        resumed: Whether it goes on in a folder that an earlier command left.
        process: Of the command itself.
        failure: Why a run in this process could not go on; kept for the command to tell, as Hydra would add words
            of its own.
        rows: The table of a run in this process.
        made: Networks by signature that a stacked sweep has trained before its jobs.
    """

    words: list[str]
    places: list[str]
    directory: str = field(default_factory=os.getcwd)
    began: float = field(default_factory=time.time)
    resumed: bool = False
    process: dict[str, Any] = field(default_factory=process.this)
    failure: Exception | None = None
    rows: list[dict[str, Any]] | None = None
    made: dict[str, Any] = field(default_factory=dict)

    def __call__(self, composed: DictConfig) -> float | None:
        """Runs.

        Args:
            composed: What Hydra composed.

        Returns:
            What a sweeper may maximise: the student's accuracy on validation examples, 0..1, or R2; `None` where none
            are held out or the job failed.
        """
        settings = HydraConfig.get()
        folder = Path(settings.runtime.output_dir)
        if settings.mode == RunMode.MULTIRUN and self.resumed and _facts(folder).get("status") == "finished":
            return objective(folder)
        here = self.process == process.this()
        stopped = folder.parent / STOPPED
        if not here and stopped.exists():
            with suppress(OSError):
                folder.rmdir()  # as if it had never been begun
            return None
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            os.environ.setdefault("OMP_NUM_THREADS", "1")  # all jobs run at once, and torch is not yet imported
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit ignores it, as on a cluster; here it means stop
        with self._console(folder, here) as console:
            try:
                self._run(composed, settings, folder, console)
            except KeyboardInterrupt as error:
                number = getattr(error, "number", signal.SIGINT)
                _requeue(number)
                if here:
                    raise
                # The other jobs save and stop in their own time; an exception would make launchers kill them.
                write_text(stopped, str(int(number)))
                return None
        return objective(folder)

    def _run(self, composed: DictConfig, settings: Any, folder: Path, console: Console) -> None:
        stop = Stop()
        with polite(stop):  # torch does not bear being broken off while it is imported
            from distill.config.compose import Registries, check
            from distill.data import datasets
            from distill.experiments import run as runs
            from distill.methods import methods
            from distill.models import models
            from distill.tracking import trackers
        stop.check()

        single = settings.mode == RunMode.RUN
        request = runs.Request(
            folder=folder,
            command=shlex.join(["distill", "train", *self.words]),
            words=self.words,
            directory=self.directory,
            sweep=not single,
            overrides=_overrides(OmegaConf.to_container(settings.overrides.task, resolve=False)),
            places=[*self.places, *_searched(settings)],
            resolved="",
            began=self.began,
            made=self.made,
            stopped=None if single else folder.parent / STOPPED,
        )
        if not single:
            said = settings.job.override_dirname.replace("__", "  ")
            console.print(Text.assemble((f"job {settings.job.num}", "bold"), f"  {said}"), soft_wrap=True)
        try:
            config = check(composed, Registries(models, datasets, methods, trackers))
            request = replace(request, resolved=OmegaConf.to_yaml(composed, resolve=True))
            self.rows = runs.run(config, request, console)
        except Exception as error:
            if single:
                self.failure = error
                return
            runs.record_failure(request, error)
            if torchrun.processes() > 1 and not isinstance(error, ConfigError):
                raise  # it may have met one process alone, and the others would wait for it in the next job
            console.print(Text.assemble(("failed", "red"), f"  {error}"), soft_wrap=True)
            if not isinstance(error, DistillError):
                console.print(Text(traceback.format_exc()), soft_wrap=True)

    @contextmanager
    def _console(self, folder: Path, here: bool) -> Iterator[Console]:
        """The terminal, which jobs in processes of their own leave to the command that started them."""
        if here:
            yield Console(stderr=True)
            return
        with (folder / LOG).open("a", encoding="utf-8", buffering=1) as file:
            yield Console(file=file, width=_LOG_WIDTH)


def objective(folder: Path) -> float | None:
    """The accuracy or R2 on validation examples of the student whose run left a folder, 1 at best, if it is known."""
    value = known_score(_facts(folder), "val")
    return value if isinstance(value, float) and math.isfinite(value) else None


def _facts(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _overrides(words: Any) -> dict[str, str]:
    """What was asked for that may make a difference to the results."""
    pairs = (word.lstrip("+").partition("=") for word in words)
    return {key: value for key, _, value in pairs if key not in _BOOKKEEPING and key.partition(".")[0] != "tracker"}


def _searched(settings: Any) -> list[str]:
    """What turns a search into the repetition of one of its trials."""
    return (
        []
        if settings.sweeper._target_.endswith(".BasicSweeper")
        else ["hydra/sweeper=basic", "hydra.sweeper.params=null"]
    )


def _requeue(number: int) -> None:
    """Lets the launcher of a cluster that wants the machine submit the job again; exits if it does."""
    handler = signal.getsignal(number)
    if number not in (signal.SIGINT, signal.SIGTERM) and callable(handler):
        handler(number, None)
