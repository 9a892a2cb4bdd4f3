"""Kills `distill train` without warning at the worst moments and checks that what comes out is the same.

    python scripts/kill_test.py [--kills 20] [--seed 0] [--at-once 1] [--quick] [--stacked] [key=value ...]

Every case (augmentation, schedules, optimisers, precision, accumulation; dropout and validation always) is run once
and left alone. Then the same commands are killed with SIGKILL and given again, `--kills` times in all: at random
times, while a checkpoint is written, between two networks, while a network is put into the store, and while tables
are written; the last four are seen from outside, by the names of files that stand there for a moment. Whenever a run
gets to its end, its weights, per-epoch metrics, predictions and results (all but times) must equal those of the run
that was left alone, bit for bit; the next one starts in a folder that is empty. Exits with 1 where one differs.

`--quick` makes the runs tiny and forks them from a process that has imported torch already. `--stacked` kills sweeps
with `hydra/launcher=stacked`.
"""

from __future__ import annotations

import argparse
import csv
import glob
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

_CASES = {
    "jitter, nesterov, onecycle": (
        "dataset.augment=jitter",
        "dataset.jitter=1",
        "hparams.optimizer=nesterov",
        "hparams.lr=0.02",
        "hparams.schedule=onecycle",
    ),
    "crop_flip, adamw, multistep, ema, grad_clip": (
        "dataset.augment=crop_flip",
        "dataset.padding=1",
        "hparams.schedule=multistep",
        "hparams.milestones=[1,2]",
        "hparams.ema=0.9",
        "hparams.grad_clip=1",
    ),
    "fp16 with a scaler, sgd": ("precision=fp16", "hparams.optimizer=sgd", "hparams.lr=0.1"),
    "accumulate=2, warm-up, cosine": ("hparams.accumulate=2", "hparams.warmup_epochs=1.5"),
}
_ALWAYS = (
    "verbosity=quiet",
    "teacher.dropout=0.2",
    "student.dropout=0.1",
    "dataset.val_fraction=0.1",
    "checkpoint.minutes=0.0001",  # at every step
)
_LONG = ("hparams.epochs=12",)
_QUICK = ("hparams.epochs=3", "hparams.limit_examples=128", "hparams.batch_size=32", "dataset.limit_test=100")
_SWEEP = ("-m", "hydra/launcher=stacked", "T=1,4")

# What stands there for a moment, or from that moment on.
_MOMENTS = {
    "at random": None,
    "while a checkpoint was written": "outputs/store/*.partial/.checkpoint.pt.*",
    "between two networks": "outputs/*/*/**/checkpoints/*.safetensors",
    "while a network was put into the store": "outputs/store/*.new-*",
    "while tables were written": "outputs/*/*/**/.*.csv.*",
}
# Columns that killing may change, or any other moment: times, memory, energy.
_TIMES = {
    *("run", "reused", "seconds", "memory_mb", "energy_wh", "latency_ms", "latency_p99_ms", "throughput"),
    *("latency_batch_ms", "latency_batch_p99_ms", "throughput_batch"),
}
_PRELOADED = [
    "torch._dynamo",
    "distill.experiments.launch",
    "distill.experiments.run",
    "distill.results.report",
    "matplotlib.backends.backend_agg",
]


def _train(words: Sequence[str], folder: str) -> None:
    """What a process does: the command line, in a folder of its own."""
    os.chdir(folder)
    with open("said.txt", "ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.argv = ["distill", "train", *words]
    from distill import cli

    cli.main()


def _outcome(folder: Path) -> dict[str, str]:
    """Digests of everything that must not depend on how often the command was killed."""
    # A run killed while it printed its table had finished already; the one after it came to its end.
    newest = max(path for path in folder.glob("outputs/*/*") if path.parent.name in ("runs", "sweeps"))
    found = {}
    for record in newest.rglob("run.json"):
        run = record.parent
        files = {path.name: path.read_bytes() for path in run.glob("checkpoints/*.safetensors")}
        files |= {name: _table(run / name) for name in ("metrics.csv", "results.csv")}
        found |= {f"{run.relative_to(newest)}/{name}": content for name, content in files.items()}
    for meta in folder.glob("outputs/store/*-*/meta.json"):
        record = json.loads(meta.read_text(encoding="utf-8"))
        found[f"{meta.parent.name} predictions"] = json.dumps(record["predictions"]).encode()
    left = [path.name for path in folder.glob("outputs/store/*") if "." in path.name]
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} | {"left": str(left)}


def _table(path: Path) -> bytes:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{key: value for key, value in row.items() if key not in _TIMES} for row in csv.DictReader(file)]
    return json.dumps(rows).encode()


class _Killer:
    """Starts, kills and compares, in as many lanes at once as were asked for.

    Args:
        cases: Words of the command line, by name.
        kills: How many in all.
        seed: Of the moments.
        base: Folder to work in.
        start: Begins a process: words and folder.
    """

    def __init__(
        self,
        cases: dict[str, list[str]],
        kills: int,
        seed: int,
        base: Path,
        start: Callable[[Sequence[str], Path], BaseProcess],
    ):
        self._cases = cases
        self._kills = kills
        self._random = random.Random(seed)
        self._base = base
        self._start = start
        self._lock = threading.Lock()
        self._turns = itertools.cycle(cases)
        self._moments = deque(itertools.islice(itertools.cycle(_MOMENTS), kills))
        self._expected: dict[str, dict[str, str]] = {}
        self._seconds: dict[str, float] = {}
        self._done = 0
        self._runs = 0
        self.ended = 0
        self.different = 0

    def leave_alone(self, case: str) -> None:
        """Runs a case to its end, to know what must come out."""
        folder = self._folder("alone")
        began = time.monotonic()
        self._finish(self._start(self._cases[case], folder), folder)
        self._seconds[case] = time.monotonic() - began
        self._expected[case] = _outcome(folder)
        self._say(f"left alone, {self._seconds[case]:.1f} s, {len(self._expected[case])} digests: {case}")

    def lane(self) -> None:
        """Kills runs, one after the other, while there are kills to be done."""
        while self._moments:
            with self._lock:
                case = next(self._turns)
                folder = self._folder("killed")
            self._kill_until_it_ends(case, folder)
            found, expected = _outcome(folder), self._expected[case]
            other = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
            with self._lock:
                self.ended += 1
                self.different += bool(other)
            verdict = f"DIFFERENT in {', '.join(other)}" if other else "identical"
            self._say(f"{folder.name} came to its end, {verdict}: {case}")

    def _kill_until_it_ends(self, case: str, folder: Path) -> None:
        while True:
            with self._lock:
                moment = self._moments.popleft() if self._moments else None
                wait = self._random.uniform(0.0, self._seconds[case])
                passes = self._random.randrange(3)  # of moments like this one that it survives
            process = self._start(self._cases[case], folder)
            if moment is None or not self._reached(process, folder, _MOMENTS[moment], wait, passes):
                self._finish(process, folder)
                if moment is not None:
                    self._moments.appendleft(moment)
                return
            process.kill()
            process.join()
            with self._lock:
                self._done += 1
                self._say(f"kill {self._done:3} of {self._kills}: {folder.name}, {moment}")

    def _reached(
        self,
        process: BaseProcess,
        folder: Path,
        pattern: str | None,
        wait: float,
        passes: int,
    ) -> bool:
        """Whether the moment came before the process ended."""
        if pattern is None:
            process.join(wait)
            return process.is_alive()
        seen = _names(folder, pattern)
        while process.is_alive():
            seen |= (new := _names(folder, pattern) - seen)
            passes -= len(new)
            if new and passes < 0:
                return True
            time.sleep(0.0002)  # leaves the processor to the one that is watched
        return False

    def _finish(self, process: BaseProcess, folder: Path) -> None:
        process.join()
        if process.exitcode:
            said = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"a run failed with {process.exitcode}:\n{said[-4000:]}")

    def _folder(self, kind: str) -> Path:
        self._runs += 1
        folder = self._base / f"{kind}-{self._runs}"
        folder.mkdir()
        return folder

    def _say(self, text: str) -> None:
        print(text, flush=True)


def _names(folder: Path, pattern: str) -> set[str]:
    return set(glob.glob(pattern, root_dir=folder, recursive=True))


def main() -> None:
    """Prints a line for each kill and each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--at-once", type=int, default=1, help="runs at the same time")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--stacked", action="store_true")
    parser.add_argument("words", nargs="*", metavar="key=value")
    asked = parser.parse_args()

    # Sums over threads depend on their number, which must be the same for runs alone and side by side.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    forks, fresh = multiprocessing.get_context("forkserver"), multiprocessing.get_context("spawn")
    forks.set_forkserver_preload(_PRELOADED)

    def start(words: Sequence[str], folder: Path) -> BaseProcess:
        process = (forks if asked.quick else fresh).Process(target=_train, args=(words, str(folder)))
        process.start()
        return process

    always = [*(_SWEEP if asked.stacked else ()), *_ALWAYS, *(_QUICK if asked.quick else _LONG)]
    cases = {name: [*always, *words, *asked.words] for name, words in _CASES.items()}
    base = Path(tempfile.mkdtemp(prefix="distill-kill-"))
    killer = _Killer(cases, asked.kills, asked.seed, base, start)
    try:
        with ThreadPoolExecutor(asked.at_once) as pool:
            list(pool.map(killer.leave_alone, cases))
            for lane in [pool.submit(killer.lane) for _ in range(asked.at_once)]:
                lane.result()
    finally:
        shutil.rmtree(base, ignore_errors=True)
    same = killer.ended - killer.different
    print(f"{asked.kills} kills, {killer.ended} runs that ended, {same} of them identical to those left alone")
    sys.exit(1 if killer.different else 0)


if __name__ == "__main__":
    main()
