"""`distill train`: hands the command line to Hydra, and ends what Hydra began."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from distill.config import tree
from distill.config.explain import missing_plugin, no_name, no_params
from distill.errors import ConfigError, DistillError
from distill.experiments import refusal, seed_words
from distill.experiments.job import Job, prepare
from distill.experiments.workers import Workers
from distill.files import unwritable
from distill.training import torchrun
from distill.training.interrupt import Interrupted, answering

_PLACES = ("output=", "store.dir=")
_MULTIRUN = ("-m", "--multirun")


@dataclass
class _Begun:
    """What Hydra has begun for this command.

    Attributes:
        folder: Of the run or the sweep.
        output: The key `output`.
        made: Folders that were not there before, innermost first.
        seeds: The word that asked for several seeds.
        resumed: Whether it goes on with a run or a sweep that was begun before.
        workers: The jobs of a sweep that run elsewhere; `None` for a single run.
        refusal: Why a sweep must not begin.
        signal: The one that asked to stop while workers were running.
    """

    folder: Path | None = None
    output: str = ""
    made: list[Path] = field(default_factory=list)
    seeds: str | None = None
    resumed: bool = False
    workers: Workers | None = None
    refusal: DistillError | None = None
    signal: int | None = None


_begun = _Begun()


class SweepFolder(Callback):
    """Remembers where the run or sweep of this process leaves its files."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes the folder of a run."""
        _remember(Path(config.hydra.run.dir), config.output)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the first job."""
        _begun.refusal = refusal.of(config, _begun.seeds, _begun.resumed)
        if _begun.refusal is not None:
            sys.exit()  # Hydra makes warnings of all exceptions here; main() tells the reason
        if not refusal.is_grid(config):
            logging.disable(logging.INFO)
            logging.getLogger("hydra_plugins").addHandler(logging.NullHandler())  # our table tells what failed
        folder = Path(config.hydra.sweep.dir)
        _remember(folder, config.output)
        queued = config.hydra.launcher._target_.endswith(".SlurmLauncher")
        _begun.workers = Workers(folder, Console(stderr=True), queued)
        _begun.workers.start()


def _remember(folder: Path, output: str) -> None:
    _begun.folder = folder
    _begun.output = output
    _begun.made = [path for path in (folder, *folder.parents) if not path.exists()]


def main(words: list[str]) -> None:
    """Runs Hydra on the words after `distill train`.

    Raises:
        DistillError: A run, or a job of a sweep, could not go on.
        HydraException: The command line or the config is not one that Hydra can compose.
        Interrupted: SIGINT or SIGTERM; it names the folder that can go on.
    """
    global _begun
    _begun = _Begun()
    # Before torch is imported: beside other work on the machine, threads that wait for longer slow one another down.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's own handler would end the process before ours sees the error
    logging.raiseExceptions = False  # a reader of our output who went away, as `head` does, is no error
    prepare()
    here = Path.cwd()
    job, words = _job(_in_order(words))
    if job is None:
        return
    sys.argv = ["distill", *words]
    begin = hydra.main(version_base="1.3", config_path=str(tree.folder()), config_name="train")(job)  # type: ignore
    failure: BaseException | None = None
    try:
        with answering({signal.SIGINT: _ask, signal.SIGTERM: _ask}):
            begin()
            number = _begun.signal or (_begun.workers.stopped if _begun.workers is not None else None)
            if number is not None:
                raise Interrupted(number)
    except SystemExit:
        if _begun.refusal is None:
            raise
        failure = _begun.refusal
    except BaseException as error:
        failure = _translated(error, words)
    finally:
        _discard()
    lost = _finish_sweep(here) if _begun.workers is not None else job.failure
    if failure is not None and not (lost is not None and isinstance(failure, ValueError)):
        raise failure  # a ValueError is what optuna has to say of a search of which every trial failed
    if lost is not None:
        raise lost
    if job.rows is not None and _begun.workers is None and _begun.folder is not None:
        _show(job.rows, _begun.folder, here)


def _in_order(words: list[str]) -> list[str]:
    """The words with `-m` first, which Hydra refuses among the keys."""
    flags = [word for word in words if word in _MULTIRUN]
    return [*flags[:1], *(word for word in words if word not in _MULTIRUN)]


def _job(words: list[str]) -> tuple[Job | None, list[str]]:
    """The command and the words for Hydra; no command where it continues one that has nothing left to do."""
    if not any(word.lstrip("+").startswith("resume=") for word in words):
        _begun.seeds = seed_words.given(words)
        words = seed_words.spread(words)
        return Job(words, _check_flags(words)), words
    if torchrun.processes() > 1:
        raise ConfigError("resume=... is for one process: give torchrun the command of the run again, which continues.")
    from distill.experiments.resume import earlier

    asked = earlier(words)
    assert asked is not None
    _begun.resumed = True
    if asked.finished:
        from distill.results.rows import read_csv

        print("This run has finished; nothing is left to do.", file=sys.stderr)
        _show(read_csv(asked.folder / "results.csv"), asked.folder, Path.cwd())
        return None, []
    if asked.directory.is_dir():
        os.chdir(asked.directory)  # paths among its words are meant from there
    job = Job(asked.words, _check_flags(asked.words), directory=str(asked.directory), began=asked.began, resumed=True)
    return job, [*asked.words, asked.place]


def _check_flags(words: list[str]) -> list[str]:
    """Says what is wrong with a flag in one sentence, where Hydra's own parser would print its usage.

    Returns:
        The words that say where things are.
    """

    def refuse(message: str) -> NoReturn:
        raise DistillError(f"`distill train`: {message}; see `distill train --help`.")

    nameless = next((word for word in words if word.startswith("=")), None)
    if nameless is not None:
        refuse(f"{nameless} has no key before the =")
    parser = get_args_parser()
    parser.error = refuse
    parsed = parser.parse_args(words)
    if parsed.multirun and (parsed.cfg or parsed.info):
        refuse("--cfg and --info tell of one run: leave out -m and give each key one value")
    added = parsed.config_dir
    for name in tree.hidden(Path(added)) if added else ():
        print(
            f"distill: warning: {Path(added) / name} is not used: distill ships a file of that name.", file=sys.stderr
        )
    places = [f"--config-dir={added}"] if added else []
    return [*places, *(word for word in words if word.startswith(_PLACES))]


def _ask(number: int, frame: FrameType | None) -> None:
    """A signal outside of a run: workers are let save first; where there are none, it stops at once."""
    again, _begun.signal = _begun.signal is not None, number
    if again or _begun.workers is None or not _begun.workers.stop(number):
        raise Interrupted(number)
    os.write(sys.stderr.fileno(), b"distill: stopping; jobs save first.\n")  # a console may be in the middle of a line


def _translated(error: BaseException, words: list[str]) -> BaseException:
    """What the command ends with: an interruption with its folder, or a sentence."""
    if _begun.signal is not None or isinstance(error, KeyboardInterrupt):
        begun = _begun.folder is not None and any(_begun.folder.glob("**/run.json"))
        number = _begun.signal or getattr(error, "number", signal.SIGINT)
        return Interrupted(number, _begun.folder if begun else None)
    if isinstance(error, HydraException | BrokenPipeError | DistillError):
        return error
    if isinstance(error, OSError):
        return unwritable("output", _begun.output, error)
    sentence = missing_plugin(error, words) or no_name(error, words) or no_params(error, words)
    return error if sentence is None else DistillError(sentence)


def _discard() -> None:
    """Removes the folders that Hydra made for a run which never began; one that holds anything stays."""
    if _begun.folder is not None and not any(_begun.folder.glob("*/run.json")):
        with suppress(OSError):
            (_begun.folder / "multirun.yaml").unlink()
    with suppress(OSError):
        for folder in _begun.made:
            folder.rmdir()


def _show(rows: list[dict[str, Any]], folder: Path, here: Path) -> None:
    from distill.results.study import study
    from distill.results.terminal import print_run
    from distill.results.unseen import told

    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    console = Console()
    print_run(rows, console)
    for line in told(facts):
        console.print(Text(line))
    console.print(Text(study(rows, [facts]).sentence))
    _say_where(folder, f" ({facts['seconds']:.1f} s)", console, here)


def _say_where(folder: Path, remark: str, console: Console, here: Path) -> None:
    near = os.path.relpath(folder, here)
    shown = shlex.quote(str(folder) if near.startswith("..") else near)
    console.print(Text(f"\nEverything is in {shown}{remark}."), soft_wrap=True)
    console.print(Text(f"Next: distill report {shown}"), soft_wrap=True)


def _finish_sweep(here: Path) -> DistillError | None:
    """Joins the jobs of a sweep into one table; returns what to say if some of them failed."""
    from distill.results.report import summarise_sweep

    folder, workers = _begun.folder, _begun.workers
    assert folder is not None
    assert workers is not None
    workers.finish()
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/run.json")]
    if not records:
        return None
    console = Console()
    console.print()
    summarise_sweep(folder, console)
    _say_where(folder, "", console, here)
    failed = sum(record["status"] == "failed" for record in records)
    return DistillError(f"{failed} of {len(records)} jobs failed; the table says why.") if failed else None
