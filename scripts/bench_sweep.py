"""How long a sweep of 16 jobs over T and alpha takes: stacked, one by one, and the usual way.

    python scripts/bench_sweep.py [--repeats N] [--quick] [key=value ...]

Every number is the time of a whole command, `distill train -m T=1,2,4,8 alpha=0.3,0.5,0.7,0.9` on the embedded digits,
from its start to its table, in a folder that starts empty:

stacked     `hydra/launcher=stacked`: 16 students as one training.
one by one  The default launcher; all jobs share one store, and so one teacher and one baseline.
usual way   Every job trains a teacher and a baseline of its own, as scripts do that are called once per setting:
            a store for each job. All jobs run in one process; what 16 processes would spend on starting is not charged.

`students alone` are the same commands where teacher and baseline lie in the store already; the usual way shares
nothing, so it has no such number. `start-up` is what every command spends on imports before it does anything;
the last ratio of each kind is that of the times without it.
The ways take turns, so that a busy machine slows all alike. Medians.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from _machine import say_where
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_SWEEP = ("T=1,2,4,8", "alpha=0.3,0.5,0.7,0.9")
_QUICK = ("T=1,2", "alpha=0.5", "hparams=smoke")
_WAYS = {
    "stacked": ("hydra/launcher=stacked",),
    "one by one": (),
    "usual way": ("store.dir=${output}/stores/${hydra:job.num}",),
}
_SHARING = ("stacked", "one by one")
_IMPORTS = "import hydra, distill.experiments.run, distill.models.networks.mlp, distill.results.report"


def _seconds(command: Sequence[str], folder: Path) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {done.returncode}: {done.stderr}")
    return seconds


def _store_of_teacher_and_baseline(words: Sequence[str], folder: Path) -> Path:
    """They are the same in all jobs: a run of the method `none` leaves them, and no student."""
    shared = [word for word in words if not word.startswith(("T=", "alpha="))]
    _seconds(["-m", "distill", "train", "method=none", *shared, "verbosity=quiet"], folder)
    return folder / "outputs" / "store"


def _sweep(words: Sequence[str], store: Path | None = None) -> float:
    """Seconds of one sweep in a new folder, with a copy of a store in it if there is one."""
    with tempfile.TemporaryDirectory(prefix="distill-bench-") as name:
        folder = Path(name)
        if store is not None:
            shutil.copytree(store, folder / "outputs" / "store")
        return _seconds(["-m", "distill", "train", "-m", *words, "verbosity=quiet"], folder)


def _taking_turns(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(run())
    return seconds


def main() -> None:
    """Prints a table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way")
    parser.add_argument(
        "--quick", action="store_true", help="does it run? two jobs of seconds, once, not for students alone"
    )
    parser.add_argument("words", nargs="*", metavar="key=value", help="for all of them, such as dataset.augment=jitter")
    asked = parser.parse_args()
    repeats = 1 if asked.quick else asked.repeats
    words = [*(_QUICK if asked.quick else _SWEEP), *asked.words]
    jobs = 2 if asked.quick else 16

    with tempfile.TemporaryDirectory(prefix="distill-bench-") as name:
        base = Path(name)
        runs: dict[str, Callable[[], float]] = {"start-up": lambda: _seconds(["-c", _IMPORTS], base)}
        for way, chosen in _WAYS.items():
            runs[way] = functools.partial(_sweep, [*words, *chosen])
        if not asked.quick:
            store = _store_of_teacher_and_baseline(words, base)
            for way in _SHARING:
                runs[f"{way}, students"] = functools.partial(_sweep, [*words, *_WAYS[way]], store)
        seconds = {way: statistics.median(times) for way, times in _taking_turns(runs, repeats).items()}

    console = Console(width=120)
    say_where(console, f"{jobs} jobs ({' '.join(words)}), whole commands, median of {repeats} runs, seconds")
    table = Table(box=SIMPLE)
    for heading in ("", "whole sweep", "/ stacked", "less start-up", "students alone", "/ stacked", "less start-up"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    start = seconds["start-up"]
    for way in _WAYS:
        alone = seconds.get(f"{way}, students")
        table.add_row(
            way,
            *_compared(seconds[way], seconds["stacked"], start),
            *([] if alone is None else _compared(alone, seconds["stacked, students"], start)),
        )
    console.print(table)
    console.print(f"start-up: {start:.2f} s", highlight=False)


def _compared(way: float, stacked: float, start: float) -> list[str]:
    """Seconds, how many times those of the stacked sweep, and how many times with start-up taken from both."""
    return [f"{way:.2f}", f"{way / stacked:.1f}x", f"{(way - start) / (stacked - start):.1f}x"]


if __name__ == "__main__":
    main()
