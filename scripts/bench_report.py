"""How long `distill report` takes over very many runs, and how much memory.

Makes run folders as a large sweep leaves them (`run.json`, `results.csv`, `metrics.csv`, `details.json` and
`config.resolved.yaml` of real sizes, numbers made up), runs the command on them in a process of its own, and prints its
seconds, its peak memory, and how much of that each further run costs. Reading is timed with the files in the cache of
the system, as they are right after a sweep.

    python scripts/bench_report.py                        # 1,000 and 10,000 runs
    python scripts/bench_report.py --runs 200 2000 --formats json csv
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _machine import say_where
from rich import box
from rich.console import Console
from rich.table import Table

from distill.results.columns import COLUMNS
from distill.results.formats import FORMATS
from distill.results.rows import complete, write_csv

_WHOLE = "report"  # tables, page and plots, as without a format
_TS = (0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 25, 30)
_ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
_RATES = tuple(round(0.001 * 1.4**power, 6) for power in range(17))
_SEEDS = range(6)
_CLASSES, _EPOCHS, _BINS, _TESTS, _VALS = 10, 30, 15, 10_000, 1_000
# In a process of its own, which is small: the peak of a child begins at that of the process it was forked from.
_STOPWATCH = """
import os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status != 0)
"""
_PARAMS = {"teacher": 2_395_210, "baseline": 1_276_810, "student": 1_276_810}


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=[_WHOLE, "html"], choices=[_WHOLE, *FORMATS])
    asked = parser.parse_args()
    console = Console()
    say_where(console, f"best of {asked.repeats} in processes of their own; peak resident memory")
    names = ("written", "runs", "files", "seconds", "of a processor", "MB", "KB for a further run")
    table = Table(*names, box=box.SIMPLE_HEAD)
    for kind in asked.formats:
        peaks: list[tuple[int, float]] = []
        for runs in asked.runs:
            with tempfile.TemporaryDirectory() as place:
                files = leave(Path(place) / "outputs", runs)
                measured = [_measured(Path(place), kind) for _ in range(asked.repeats)]
            seconds, busy = (min(one[column] for one in measured) for column in (0, 1))
            peak = max(one[2] for one in measured)
            further = f"{1000 * (peak - peaks[0][1]) / (runs - peaks[0][0]):.1f}" if peaks else ""
            peaks.append((runs, peak))
            table.add_row(kind, f"{runs:,}", f"{files:,}", f"{seconds:.2f}", f"{busy:.2f}", f"{peak:.0f}", further)
    console.print(table)


def _measured(place: Path, kind: str) -> tuple[float, float, float]:
    """Seconds that passed, seconds of a processor, and peak memory in MB of 10^6 bytes."""
    out = place / "report"
    shutil.rmtree(out, ignore_errors=True)
    target = ["--output", str(out)] if kind == _WHOLE else [f"--{kind}", str(place / "made")]
    command = [sys.executable, "-m", "distill", "report", "outputs", *target]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", _STOPWATCH, *command],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}.")
    seconds, busy, peak = (float(word) for word in done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of what the system counts in
    return seconds, busy, peak * unit / 1e6


def leave(outputs: Path, runs: int) -> int:
    """Leaves `runs` jobs of one sweep; returns how many files they are.

    Args:
        outputs: Folder to make.
        runs: At most 20 T x 5 alpha x 17 learning rates x 6 seeds; whole settings come first.
    """
    random = np.random.default_rng(0)
    sweep = outputs / "sweeps" / "2026-11-21_10-00-00-000000"
    sweep.mkdir(parents=True)
    shared = {seed: (_network("teacher", seed, random), _network("baseline", seed, random)) for seed in _SEEDS}
    details = json.dumps({"networks": {role: _detail(random) for role in _PARAMS}}, indent=1)
    metrics = _metrics(random)
    settings = list(itertools.islice(itertools.product(_RATES, _TS, _ALPHAS, _SEEDS), runs))
    if len(settings) < runs:
        raise SystemExit(f"--runs {runs} is more than {len(settings):,}.")
    for number, (rate, T, alpha, seed) in enumerate(settings):
        overrides = {"T": f"{T:g}", "alpha": f"{alpha:g}", "hparams.student.lr": f"{rate:g}", "seed": str(seed)}
        folder = sweep / f"{number}_{'__'.join(f'{key}={value}' for key, value in overrides.items())}"
        folder.mkdir()
        student = _network("student", seed, random, T=float(T), alpha=alpha, method="hinton")
        student["accuracy"] = 0.97 + 0.004 * np.exp(-((np.log(T / 4)) ** 2)) + 0.002 * random.standard_normal()
        student["signature"] = f"{number:016x}"
        write_csv(complete([{**row, "run": folder.name} for row in (*shared[seed], student)]), folder / "results.csv")
        (folder / "run.json").write_text(json.dumps(_record(folder.name, overrides, seed), indent=1))
        (folder / "details.json").write_text(details)
        (folder / "metrics.csv").write_text(metrics)
        (folder / "config.resolved.yaml").write_text("key: value  # of a config\n" * 80)
    return 5 * runs


def _network(role: str, seed: int, random: np.random.Generator, **more: Any) -> dict[str, Any]:
    text = {"dataset": "mnist", "status": "finished", "precision": "fp32", "device": "cpu, 2 threads (x86_64)"}
    whole = {"params": _PARAMS[role], "flops": 2 * _PARAMS[role], "adapters": 0, "epochs": _EPOCHS, "epoch": _EPOCHS}
    numbers = {name: float(random.random()) for name, column in COLUMNS.items() if column.kind == "number"}
    accuracy = {"teacher": 0.984, "baseline": 0.965}.get(role, 0.97) + 0.001 * float(random.standard_normal())
    return {
        **numbers,
        **text,
        **whole,
        "T": None,
        "alpha": None,
        "role": role,
        "model": "mlp-1200-1200" if role == "teacher" else "mlp-800-800",
        "method": "none",
        "seed": seed,
        "accuracy": accuracy,
        "val_accuracy": accuracy + 0.001 * float(random.standard_normal()),
        "reused": True,
        "signature": f"{role}-{seed}",
        **more,
    }


def _record(name: str, overrides: dict[str, str], seed: int) -> dict[str, Any]:
    words = ["-m", "T=0.5,1,2,4,8", "alpha=0.1,0.3,0.5,0.7,0.9", "seed=0,1,2,3,4,5", "dataset.val_fraction=0.2"]
    return {
        "run": name,
        "command": " ".join(["distill", "train", *words]),
        "words": words,
        "directory": "/home/somebody/study",
        "sweep": True,
        "overrides": overrides,
        "places": [],
        "began": 1795304329.8777359,
        "started": "2026-11-21T10:00:00+00:00",
        "process": {"pid": 26192, "host": "host", "started": "d0a28679-5174-48bf-b8b4-89e4b43c2154 3429082"},
        "seed": seed,
        "git": {"commit": "0" * 40, "dirty": False},
        "versions": {"python": "3.11.7", "distill": "0.1.0", "torch": "2.15.0", "numpy": "2.4.6"},
        "device": {"name": "cpu, 2 threads (x86_64)", "type": "cpu", "platform": "Linux", "threads": 2},
        "processes": 1,
        "dataset": {
            "name": "mnist",
            "fingerprint": "89d8d359d34b208707cdd9f272e8726addea02d1d644ccf85ceaf6bd2ffc5cd0",
            "classes": [str(number) for number in range(_CLASSES)],
            "train": 1000,
            "transfer": 1000,
            "val": _VALS,
            "test": _TESTS,
            "train_by_class": [100] * _CLASSES,
            "test_by_class": [1000] * _CLASSES,
            "input_shape": [1, 28, 28],
            "maximum": 255.0,
        },
        "status": "finished",
        "error": None,
        "finished": "2026-11-21T10:00:09+00:00",
        "seconds": 9.0,
        "teacher_outputs": "cached",
        "val_accuracy": 0.97,
        "class_accuracy": {role: [0.9737373737373738] * _CLASSES for role in _PARAMS},
        "unseen": {},
    }


def _detail(random: np.random.Generator) -> dict[str, Any]:
    bins = [[int(10 * share), float(share), float(share)] for share in random.random(_BINS)]
    pairs = [[i, j, int(9 * random.random())] for i in range(_CLASSES) for j in range(_CLASSES) if i != j]
    return {
        "class_accuracy": random.random(_CLASSES).tolist(),
        "confusions": sorted(pairs, key=lambda pair: -pair[2]),
        "reliability": {"raw": bins, "scaled": bins},
    }


def _metrics(random: np.random.Generator) -> str:
    header = ["role", "epoch", "step", "seconds", "lr", "loss", "loss/soft", "loss/hard"]
    header += ["train_accuracy", "val_accuracy", "test_accuracy"]
    lines = [",".join(header)]
    for role in _PARAMS:
        for epoch in range(1, _EPOCHS + 1):
            lines.append(",".join([role, str(epoch), str(8 * epoch), *(str(value) for value in random.random(8))]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
