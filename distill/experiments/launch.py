"""`distill train`: hands the command line to Hydra, and turns each job it composes into a run."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.text import Text

from distill.config import tree
from distill.errors import DistillError

_LONGEST_FOLDER = 120  # characters; file systems allow 255 bytes

_BOOKKEEPING = ("verbosity", "output", "store.dir", "store.reuse")

_PLACES = ("output=", "store.dir=")

_began = time.time()  # of this process, where that is a worker of a sweep
_places: list[str] = []
_sweep: Path | None = None
_failure: Exception | None = None
_output = ""
_made: list[Path] = []  # folders that were not there before this process, innermost first


class SweepFolder(Callback):
    """Remembers where the run or sweep of this process leaves its files."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes the folder of a run."""
        _remember(Path(config.hydra.run.dir), config.output)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first job."""
        global _sweep
        _sweep = Path(config.hydra.sweep.dir)
        _remember(_sweep, config.output)


def _remember(folder: Path, output: str) -> None:
    global _output, _made
    _output = output
    _made = [path for path in (folder, *folder.parents) if not path.exists()]


def folder_name(number: int, overrides: str) -> str:
    """A job's folder in a sweep: its number and what makes it different, fit for any file system."""
    name = re.sub(r"[^\w.,=@+\-\[\]]+", "-", f"{number}_{overrides}" if overrides else str(number))
    return name[:_LONGEST_FOLDER]


OmegaConf.register_new_resolver("distill.folder", folder_name, replace=True)


def main(words: list[str]) -> None:
    """Runs Hydra on the words after `distill train`.

    Raises:
        DistillError: A run, or a job of a sweep, could not go on.
        HydraException: The command line or the config is not one that Hydra can compose.
    """
    global _began
    _began = time.time()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's own handler would end the process before ours sees the error
    logging.raiseExceptions = False  # a reader of our output who went away, as `head` does, is no error
    _check_flags(words)
    sys.argv = ["distill", *words]
    begin = hydra.main(version_base="1.3", config_path=str(tree.folder()), config_name="train")(job)
    try:
        begin()
    except (HydraException, BrokenPipeError):
        raise
    except OSError as error:
        raise DistillError(
            f"output={_output} cannot be written: {error.filename}: {error.strerror}; give output=FOLDER where it can."
        ) from error
    finally:
        if _sweep is not None:
            _finish_sweep(_sweep)
        _discard()
    if _failure is not None:
        raise _failure


def _check_flags(words: list[str]) -> None:
    """Says what is wrong with a flag in one sentence, where Hydra's own parser would print its usage."""

    def refuse(message: str) -> NoReturn:
        raise DistillError(f"`distill train`: {message}; see `distill train --help`.")

    nameless = next((word for word in words if word.startswith("=")), None)
    if nameless is not None:
        refuse(f"{nameless} has no key before the =")
    parser = get_args_parser()
    parser.error = refuse
    global _places
    added = parser.parse_args(words).config_dir
    _places = [f"--config-dir={added}"] if added else []
    _places += [word for word in words if word.startswith(_PLACES)]
    for name in tree.hidden(Path(added)) if added else ():
        print(
            f"distill: warning: {Path(added) / name} is not used: distill ships a file of that name.", file=sys.stderr
        )


def job(composed: DictConfig) -> None:
    """One run, from a composed config to its folder of results.

    What goes wrong is kept for `main` instead of raised: Hydra would add words of its own, and end a sweep.
    """
    global _failure
    from distill.config.compose import Registries, check
    from distill.data import datasets
    from distill.experiments import run as runs
    from distill.methods import methods
    from distill.models import models

    settings = HydraConfig.get()
    single = settings.mode == RunMode.RUN
    request = runs.Request(
        folder=Path(settings.runtime.output_dir),
        overrides=_overrides(OmegaConf.to_container(settings.overrides.task, resolve=False)),
        places=_places,
        resolved="",
        began=_began,
    )
    console = Console(stderr=True)
    if not single:
        said = settings.job.override_dirname.replace("__", "  ")
        console.print(Text.assemble((f"job {settings.job.num}", "bold"), f"  {said}"), soft_wrap=True)
    try:
        config = check(composed, Registries(models, datasets, methods))
        request = replace(request, resolved=OmegaConf.to_yaml(composed, resolve=True))
        rows = runs.run(config, request, console)
    except Exception as error:
        if single:
            _failure = error
            return
        runs.record_failure(request, error)
        console.print(Text.assemble(("failed", "red"), f"  {error}"), soft_wrap=True)
        if not isinstance(error, DistillError):
            traceback.print_exc()
    else:
        if single:
            _show(rows, request.folder)


def _overrides(words: Any) -> dict[str, str]:
    """What was asked for that may make a difference to the results."""
    pairs = (word.lstrip("+").partition("=") for word in words)
    return {key: value for key, _, value in pairs if key not in _BOOKKEEPING}


def _discard() -> None:
    """Removes the folders that Hydra made for a run which never began; one that holds anything stays."""
    with suppress(OSError):
        for folder in _made:
            folder.rmdir()


def _show(rows: list[dict[str, Any]], folder: Path) -> None:
    from distill.results.terminal import print_run
    from distill.results.verdict import verdict

    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    console = Console()
    print_run(rows, console)
    console.print(verdict(rows, [facts]), highlight=False)
    _say_where(folder, f" ({facts['seconds']:.1f} s)", console)


def _say_where(folder: Path, remark: str, console: Console) -> None:
    near = os.path.relpath(folder)
    shown = folder if near.startswith("..") else near
    console.print(f"\nEverything is in {shown}{remark}.", highlight=False, soft_wrap=True)
    console.print(f"Next: distill report {shown}", highlight=False, soft_wrap=True)


def _finish_sweep(folder: Path) -> None:
    """Joins the jobs of a sweep into one table; when none had begun, nothing of the sweep stays."""
    global _failure
    from distill.results.report import summarise_sweep

    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/run.json")]
    if not records:
        with suppress(OSError):
            (folder / "multirun.yaml").unlink()
        return
    failed = sum(record["status"] == "failed" for record in records)
    if failed:
        _failure = DistillError(f"{failed} of {len(records)} jobs failed; the table says why.")
    console = Console()
    console.print()
    summarise_sweep(folder, console)
    _say_where(folder, "", console)
