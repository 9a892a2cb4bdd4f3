"""Which method teaches best, when each of them is tuned as much as the others.

    python scripts/compare_methods.py [--seeds N] [--jobs N] [--methods a,b] [--output DIR] [key=value ...]

`experiment=compare_methods` on MNIST, 500 labelled pictures for the student. In two steps, each a command
`distill train -m ...` per method, all with one store:

1. With seed 0, four values of the method's main number: its weight times 0.1, 0.3, 1 and 3; or, where it has none of
   its own, `alpha`, the temperature, or the weight of the labels. The best on validation pictures is taken; of equals
   the one nearest to the default.
2. With it, other seeds, and the accuracy on test pictures.

Printed as Markdown: mean and standard error of the accuracy, of the difference to a student of the same seed that
learned from labels alone, what was chosen, and seconds per epoch of the student's training (teacher's forward passes
included, `--jobs` of them at a time, on the machine's cores divided by that).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from _machine import say_where
from rich.console import Console

from distill.config import tree

_EXPERIMENT = "compare_methods"
_TUNED_WITH = 0  # seed
_FACTORS = (0.1, 0.3, 1.0, 3.0)
_SHARES = (0.1, 0.5, 0.9, 1.0)  # of alpha
_LABELS = (0.0, 0.1, 0.3, 1.0)  # their weight, where there are none by default
# The number that says how much a method's own terms count; `method.weight` or `alpha` where nothing stands here.
_MAIN = {
    "compose": "method.hard_weight",
    "dist": "method.hard_weight",
    "dkd": "method.non_target_weight",
    "function_matching": "T",
    "logits": "method.hard_weight",
    "lskd": "method.soft_weight",
    "mlkd": "method.hard_weight",
    "nkd": "method.non_target_weight",
    "ofa": "method.hard_weight",
    "simkd": "method.hard_weight",
    "soft_hard": "method.soft_weight",
    "wkd_l": "method.transport_weight",
}


@dataclass(frozen=True)
class Candidates:
    """What is tried for a method.

    Attributes:
        method: Its name.
        key: The one number that is tuned.
        default: Its value as it ships.
        values: Those that are tried.
    """

    method: str
    key: str
    default: float
    values: tuple[float, ...]

    def word(self, *values: float) -> str:
        """As the command line takes it."""
        return f"{self.key}={','.join(f'{value:g}' for value in values)}"


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        words: Overrides, by key.
        validation: Accuracy of its student on validation pictures, 0..1; `None` without a student.
        rows: Its results table.
    """

    words: dict[str, str]
    validation: float | None
    rows: list[dict[str, str]]

    def row(self, role: str) -> dict[str, str]:
        """The row of one network."""
        return next(row for row in self.rows if row["role"] == role)


class Failed(Exception):
    """A sweep of one method ended with an error."""


def candidates(method: str) -> Candidates:
    """The number that is tuned for a method, and the values that are tried."""
    keys = next(choice.keys for choice in tree.choices("method") if choice.name == method)
    key = _MAIN.get(method) or next(key for key in ("method.weight", "alpha") if key in keys)
    default = float(keys[key])
    if key == "alpha":
        values = _SHARES
    elif default == 0:
        values = _LABELS
    elif key == "T":
        values = tuple(default * factor for factor in (0.5, 1.0, 2.0, 4.0))
    elif key == "method.hard_weight":
        values = tuple(default / factor for factor in _FACTORS)
    else:
        values = tuple(default * factor for factor in _FACTORS)
    return Candidates(method, key, default, values)


class Comparison:
    """Sweeps that share a store.

    Args:
        output: Folder of the store and of all sweeps.
        words: Overrides of every command.
        threads: Of each process.
    """

    def __init__(self, output: Path, words: Sequence[str], threads: int):
        self._output = output.resolve()
        self._sweeps = self._output / "compare" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
        self._words = words
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

    def sweep(self, method: str, step: str, *words: str) -> list[Job]:
        """Runs one sweep of one method.

        Raises:
            Failed: With what it said last.
        """
        folder = self._sweeps / f"{method}-{step}"
        command = ["train", "-m", f"experiment={_EXPERIMENT}", f"method={method}", *words, *self._words]
        done = subprocess.run(
            [sys.executable, "-m", "distill", *command, f"output={self._output}", f"hydra.sweep.dir={folder}"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"distill {' '.join(command)}: {done.stderr.strip().rpartition(chr(10))[2]}")
        return [_job(path.parent) for path in sorted(folder.glob("*/run.json"))]

    def tune(self, tried: Candidates) -> float:
        """The value that is best on validation pictures."""
        jobs = self.sweep(tried.method, "tune", f"seed={_TUNED_WITH}", tried.word(*tried.values))
        reached = {value: job.validation for value in tried.values for job in jobs if _is(job.words[tried.key], value)}
        if reached.keys() != set(tried.values):
            raise Failed(f"{tried.method}: of {tried.values} only {list(reached)} finished")
        return max(tried.values, key=lambda value: (reached[value], -_steps_away(value, tried.default)))


def _job(folder: Path) -> Job:
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return Job(facts["overrides"], facts["val_accuracy"], list(csv.DictReader(file)))


def _is(word: str, value: float) -> bool:
    return math.isclose(float(word), value, rel_tol=1e-4)  # of a value that was written with six digits


def _steps_away(value: float, default: float) -> float:
    return abs(math.log(value / default)) if value and default else abs(value - default)


def _mean(values: Sequence[float], digits: int, sign: str = "") -> str:
    mean = f"{statistics.mean(values):{sign}.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values) / len(values) ** 0.5:.{digits}f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many, besides the one that is tuned with")
    parser.add_argument("--jobs", type=int, default=2, help="commands at a time")
    parser.add_argument("--methods", help="names with commas; default: those of the experiment")
    parser.add_argument("--output", type=Path, default=Path("outputs"), help="folder of the store and the runs")
    parser.add_argument("words", nargs="*", metavar="key=value", help="for all of them, such as dataset.root=DIR")
    asked = parser.parse_args()
    methods = _methods() if asked.methods is None else asked.methods.split(",")
    tried = {method: candidates(method) for method in methods}
    seeds = range(_TUNED_WITH + 1, _TUNED_WITH + 1 + asked.seeds)
    chosen_seeds = f"seed={','.join(map(str, seeds))}"
    console, errors = Console(width=140), Console(stderr=True)
    comparison = Comparison(asked.output, asked.words, max(1, (os.cpu_count() or 1) // asked.jobs))

    # First, so that no command waits for another's teacher.
    plain = {
        int(job.words["seed"]): job
        for job in comparison.sweep("none", "plain", f"seed={','.join(map(str, (_TUNED_WITH, *seeds)))}")
    }

    def compare(method: str) -> tuple[float, list[Job]] | None:
        try:
            value = comparison.tune(tried[method])
            return value, comparison.sweep(method, "test", chosen_seeds, tried[method].word(value))
        except Failed as failed:
            errors.print(str(failed), style="red", highlight=False)
            return None

    with ThreadPoolExecutor(asked.jobs) as pool:
        compared = dict(zip(methods, pool.map(compare, methods), strict=True))

    say_where(console, f"mean ± standard error of {asked.seeds} seeds, {asked.jobs} commands at a time")
    lines = [_line("teacher", [plain[seed].row("teacher") for seed in seeds])]
    lines.append(_line("labels alone", [plain[seed].row("baseline") for seed in seeds]))
    found = {method: result for method, result in compared.items() if result is not None}
    students = {method: [job.row("student") for job in jobs] for method, (_, jobs) in found.items()}
    for method in sorted(students, key=lambda name: -statistics.mean(_accuracies(students[name]))):
        rows = students[method]
        gains = [
            mine - plainly
            for mine, plainly in zip(
                _accuracies(rows), _accuracies([plain[int(row["seed"])].row("baseline") for row in rows]), strict=True
            )
        ]
        lines.append(_line(method, rows, _mean(gains, 2, "+"), tried[method].word(found[method][0])))
    print("\n| method | accuracy % | paired gain, points | chosen | s / epoch |")
    print("|---|---|---|---|---|")
    print("\n".join(lines))


def _methods() -> list[str]:
    """Those that the experiment lists."""
    path = tree.folder() / "experiment" / f"{_EXPERIMENT}.yaml"
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]["method"]
    return [name.strip() for name in listed.split(",")]


def _accuracies(rows: Sequence[dict[str, str]]) -> list[float]:
    return [100 * float(row["accuracy"]) for row in rows]


def _line(name: str, rows: Sequence[dict[str, str]], gain: str = "", chosen: str = "") -> str:
    pace = statistics.mean(float(row["seconds"]) / int(row["epochs"]) for row in rows)
    return f"| {name} | {_mean(_accuracies(rows), 2)} | {gain} | {chosen} | {pace:.2f} |"


if __name__ == "__main__":
    main()
