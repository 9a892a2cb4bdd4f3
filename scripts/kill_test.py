"""Kills `distill train` without warning at random moments and checks that what comes out is the same.

    python scripts/kill_test.py [--kills 20] [--seed 0] [key=value ...]

A run is left alone once. Then the same command is killed with SIGKILL, again and again, `--kills` times in all, in
folders that start empty; whenever a run gets to its end, the next one starts from nothing. Every run that ends
must have left weights, per-epoch metrics (their seconds aside) and predictions that equal those of the run that was
left alone, bit for bit. By default jitter, dropout, momentum and a moving average of the weights are on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_DEFAULTS = (
    "dataset.augment=jitter",
    "dataset.jitter=1",
    "teacher.dropout=0.2",
    "student.dropout=0.1",
    "hparams.optimizer=nesterov",
    "hparams.lr=0.02",
    "hparams.ema=0.9",
    "hparams.epochs=120",
    "dataset.val_fraction=0.1",
)


def _start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distill", "train", *words, "verbosity=quiet"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _finish(words: list[str], folder: Path) -> None:
    process = _start(words, folder)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"a run failed with {process.returncode}: {said.decode()}")


def _outcome(folder: Path) -> dict[str, str]:
    """Digests of everything that must not depend on how often the run was killed."""
    # A run killed while it printed its table had finished already; the one after it came to its end.
    run = max(path.parent for path in folder.glob("outputs/runs/*/run.json"))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in run.glob("checkpoints/*")}
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    found["metrics.csv"] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    for meta in folder.glob("outputs/store/*-*/meta.json"):
        record = json.loads(meta.read_text(encoding="utf-8"))
        found[f"{meta.parent.name} predictions"] = hashlib.sha256(
            json.dumps(record["predictions"]).encode()
        ).hexdigest()
    return found


def main() -> None:
    """Prints a line for each kill and each comparison; exits with 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("words", nargs="*", default=list(_DEFAULTS), metavar="key=value")
    asked = parser.parse_args()
    moments = random.Random(asked.seed)
    base = Path(tempfile.mkdtemp(prefix="distill-kill-"))
    try:
        sys.exit(_compare(asked.words, asked.kills, moments, base))
    finally:
        shutil.rmtree(base)


def _compare(words: list[str], kills: int, moments: random.Random, base: Path) -> int:
    alone = base / "alone"
    alone.mkdir()
    began = time.monotonic()
    _finish(words, alone)
    length = time.monotonic() - began
    expected = _outcome(alone)
    print(f"left alone: {length:.1f} s, {len(expected)} digests", flush=True)

    killed = runs = 0
    differing = 0
    while killed < kills:
        folder = base / f"killed{runs}"
        folder.mkdir()
        while True:
            process = _start(words, folder)
            wait = moments.uniform(0.0, length)
            if killed < kills:
                try:
                    process.wait(timeout=wait)
                except subprocess.TimeoutExpired:
                    process.kill()
                    killed += 1
                    process.communicate()
                    print(f"kill {killed:3} of {kills}: run {runs}, after {wait:.2f} s", flush=True)
                    continue
            _, said = process.communicate()
            if process.returncode:
                raise SystemExit(f"a run failed with {process.returncode}: {said.decode()}")
            break
        same = _outcome(folder) == expected
        differing += not same
        print(f"run {runs} came to its end: {'identical' if same else 'DIFFERENT'}", flush=True)
        runs += 1
    print(f"{killed} kills, {runs} runs that ended, {runs - differing} of them identical to the one left alone")
    return 1 if differing else 0


if __name__ == "__main__":
    main()
