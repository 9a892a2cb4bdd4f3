"""One command `distill search`: from its words to its folder and tables."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from distill.config.overrides import of_run
from distill.config.schema import Config
from distill.errors import ConfigError, DistillError
from distill.experiments import provenance
from distill.experiments.display import Display
from distill.experiments.run import loaded
from distill.experiments.saved import REGISTRIES
from distill.search.gate import Gate
from distill.search.options import SearchOptions
from distill.search.outcome import Outcome
from distill.search.record import FRONT, SearchFolder
from distill.search.search import Search, check
from distill.search.show import draw, print_outcome
from distill.search.space import Space, load
from distill.search.strategies import require
from distill.search.trainer import Trainer
from distill.training import device as devices
from distill.training import torchrun
from distill.training.interrupt import Interrupted, Stop, polite
from distill.training.layout import keep_memory

T = TypeVar("T")
_VAL = "dataset.val_fraction=0.2"


def run(options: SearchOptions, words: Sequence[str], rest: Sequence[str]) -> None:
    """Searches, and leaves and prints what was found.

    Args:
        options: Of the search.
        words: The whole command line after `distill search`.
        rest: Those of it that are the run's.

    Raises:
        DistillError: Something is not allowed, or the search cannot go on.
        Interrupted: SIGINT or SIGTERM; the same command goes on.
    """
    if torchrun.processes() > 1:
        raise DistillError("distill search is not possible under torchrun: it trains in one process.")
    space, config, rest = _asked(options, rest)
    console, stop = Console(stderr=True), Stop()
    quiet = config.run.verbosity == "quiet"
    keep_memory()
    device = devices.resolve(config.run.device)
    devices.occupy(device)
    data = loaded(config.dataset)
    display = Display(console, quiet=quiet or not console.is_terminal)
    trainer = Trainer(config, data, device, display, stop)
    folder = SearchFolder(config.run.output, words)
    gate = Gate(options, config, trainer, device, folder.timed)
    search = Search(
        options,
        space,
        config,
        trainer,
        gate,
        say=(lambda line: None) if quiet else display.say,
        begin=lambda: folder.begin(
            command=shlex.join(["distill", "search", *words]),
            started=_now(),
            seed=config.run.seed,
            git=provenance.git(),
            versions=provenance.versions(),
            device=provenance.machine(device),
        ),
        trained=lambda searches: folder.rows([row for searched in searches for row in searched.rows()]),
    )
    if folder.resumed:
        display.say(f"goes on with {folder.path}, which was interrupted")
    began = time.monotonic()
    assert data.val is not None
    try:
        with polite(stop), devices.deterministic(config.run.deterministic):
            outcome = search.run(rest, len(data.val))
    except BaseException as error:
        if not folder.begun:
            raise
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(DistillError):  # where nothing can be written, the error itself says so
            folder.tell(status=status, error=str(error) or type(error).__name__, finished=_now())
        if isinstance(error, Interrupted):
            raise Interrupted(error.number, folder.path) from error
        raise
    _finish(outcome, folder, time.monotonic() - began)


def _asked(options: SearchOptions, rest: Sequence[str]) -> tuple[Space, Config, list[str]]:
    """Space, run and its words, once nothing is wrong with any of them."""
    problems: list[str] = []

    def read(part: Callable[[], T]) -> T | None:
        try:
            return part()
        except ConfigError as error:
            problems.extend(error.problems)
            return None

    read(lambda: require(options.strategies, options.strategy))
    space, run = read(lambda: load(options.space)), read(lambda: _config(rest))
    if space is not None:
        read(lambda: check(space, 0))
    if problems or space is None or run is None:
        raise ConfigError(*problems)
    return space, *run


def _config(rest: Sequence[str]) -> tuple[Config, list[str]]:
    """The run whose student is searched for, and its words; with validation examples in any case."""
    config = of_run(rest, REGISTRIES)
    if config.dataset.regression:
        raise ConfigError(
            f"dataset={config.dataset.name} is not allowed in a search, which compares accuracies: it has real-valued "
            "targets; `distill train -m` with model@student=mlp_32,mlp_64 compares students there."
        )
    if config.dataset.val_fraction:
        return config, list(rest)
    if any(word.lstrip("+").startswith("dataset.val_fraction=") for word in rest):
        raise ConfigError(
            f"dataset.val_fraction={config.dataset.val_fraction:g} is not allowed: candidates are compared on "
            "validation examples, never on test; give 0.2, or leave it out."
        )
    return of_run([*rest, _VAL], REGISTRIES), [*rest, _VAL]


def _finish(outcome: Outcome, folder: SearchFolder, seconds: float) -> None:
    folder.rows(outcome.rows())
    draw(outcome, folder.path / FRONT)
    folder.tell(status="finished", error=None, finished=_now(), seconds=seconds, **outcome.facts())
    console = Console()
    print_outcome(outcome, console)
    near = os.path.relpath(folder.path)
    where = shlex.quote(str(folder.path) if near.startswith("..") else near)
    console.print(Text(f"\nEverything is in {where} ({seconds:.1f} s)."), soft_wrap=True)
    console.print(Text(f"Next: {outcome.command}"), soft_wrap=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
