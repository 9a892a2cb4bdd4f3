"""`distill inspect`: what a network knows beyond its answers, and what temperature does to a distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from distill.commands.parser import Parser
from distill.errors import DistillError
from distill.files import require_writable

HELP = """\
Look at what the teacher knows: softened distributions of test examples at several temperatures, classes that it
takes for each other, and examples on which student and teacher disagree, with their pictures.

Usage
  distill inspect RUN [T=1,3,10] [--index 7,8 | --count N] [--role ROLE] [--output FOLDER] [--device DEVICE]
  distill inspect --logits 2,1,.5,.2 [T=1,2,5,10] [--labels cat,dog,cow,car] [--png FILE]

  RUN       folder of a run, or one of its checkpoints
  T         temperatures (default: 1, that of the run's method, or 3, and 10; with --logits 1,2,5,10); classes are
            compared at the method's own where it is among them, else at the one in the middle
  --index   positions in the test set, from 0 (default: telling examples, --count of them, 4)
  --role    teacher, student or baseline (default: the teacher)
  --output  where to write (default: RUN/inspect)
  --device  where to compute: auto, cpu, cuda, cuda:N or mps (default: auto)
  --logits  needs no run: the effect of temperature on these numbers

Examples
  distill inspect --logits 2,1,.5,.2 T=1,2,5,10
  distill inspect outputs/runs/2026-11-21_10-00-00-000000
  distill inspect outputs/runs/2026-11-21_10-00-00-000000 T=1,4,20 --index 7,8 --role student

Prints tables and bars, and writes examples.png, pairs.png, disagreements.png, inspect.csv and inspect.md to the
output folder. With --logits nothing is written but the file given as --png."""

_MOST_TEMPERATURES, _MOST_EXAMPLES, _USUAL_COUNT = 12, 24, 4
_USUAL_TEMPERATURES = (1.0, 2.0, 5.0, 10.0)
_OF_A_RUN = ("index", "count", "role", "output", "device")
_OF_LOGITS = ("labels", "png")


def run(words: list[str]) -> int:
    """Looks at a run, or at logits."""
    parser = Parser("inspect")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--logits")
    for name in (*_OF_A_RUN, *_OF_LOGITS):
        parser.add_argument(f"--{name}")
    asked = parser.parse_intermixed_args(_joined(words))
    temperatures = _temperatures([word for word in asked.words if word.startswith("T=")])
    runs = [word for word in asked.words if not word.startswith("T=")]
    for word in runs:
        if "=" in word and not Path(word).exists():
            raise DistillError(f"{word} is not allowed: `distill inspect` takes a run, and temperatures as T=1,3,10.")
    if (asked.logits is None) == (not runs) or len(runs) > 1:
        raise DistillError("`distill inspect` looks at one run or at --logits; see `distill inspect --help`.")
    foreign = _OF_LOGITS if runs else _OF_A_RUN
    for name in foreign:
        if getattr(asked, name) is not None:
            goes = "--logits" if runs else "a run"
            raise DistillError(f"--{name} is not allowed here: it goes with {goes}; see `distill inspect --help`.")
    if asked.logits is not None:
        return _logits(asked.logits, asked.labels, temperatures or _USUAL_TEMPERATURES, asked.png)
    if asked.index is not None and asked.count is not None:
        raise DistillError(
            "--index and --count are not allowed together: either you choose examples, or they are chosen."
        )
    positions = (
        None if asked.index is None else _numbers("--index", asked.index, partial(_whole, least=0), _MOST_EXAMPLES)
    )
    one_number = partial(_whole, least=1, most=_MOST_EXAMPLES)
    counts = [_USUAL_COUNT] if asked.count is None else _numbers("--count", asked.count, one_number, 1)
    output = None if asked.output is None else Path(asked.output)
    return _run(Path(runs[0]), asked.role, temperatures, positions, counts[0], output, asked.device or "auto")


def _run(
    path: Path,
    role: str | None,
    temperatures: Sequence[float] | None,
    positions: Sequence[int] | None,
    count: int,
    output: Path | None,
    device: str,
) -> int:
    from rich.console import Console
    from rich.text import Text

    from distill.experiments.inspection import Asked, inspect
    from distill.results.find import find_run
    from distill.results.inspection.files import write
    from distill.results.inspection.terminal import print_findings

    folder = output or find_run(path) / "inspect"
    require_writable(folder / "inspect.md")
    found, pixels = inspect(Asked(path, role, temperatures, positions, count, device))
    written = write(found, pixels, folder)
    console = Console()
    print_findings(found, pixels, console)
    console.print(Text("\n  ".join(["\nWritten:", *map(str, written)])), soft_wrap=True)
    return 0


def _logits(given: str, labels: str | None, temperatures: Sequence[float], png: str | None) -> int:
    import numpy as np
    from rich.console import Console
    from rich.text import Text

    from distill.results.inspection.softened import soften
    from distill.results.inspection.terminal import print_logits

    values = _numbers("--logits", given, _finite, None)
    if len(values) < 2:
        raise DistillError(f"--logits {given} is not allowed: give at least two numbers, such as --logits 2,1,.5,.2.")
    names = [str(number) for number in range(len(values))]
    if labels is not None:
        names = [name.strip() for name in labels.split(",")]
        if len(names) != len(values):
            raise DistillError(
                f"--labels {labels} is not allowed: it names {len(names)}, and --logits has {len(values)} classes."
            )
    logits = np.array(values)
    softened = [soften(logits, T) for T in temperatures]
    console = Console()
    drawn = None
    if png is not None:
        from distill.results.inspection.plots import logits_plot

        drawn = logits_plot(logits, softened, names, Path(png))
    print_logits(logits, softened, names, console)
    if drawn is not None:
        console.print(Text(f"\nWritten:\n  {drawn}"), soft_wrap=True)
    return 0


def _joined(words: Sequence[str]) -> list[str]:
    """Negative logits begin with a dash, as options do."""
    for number, word in enumerate(words[:-1]):
        if word in ("--logits", "--index") and not words[number + 1].startswith("--"):
            return [*words[:number], f"{word}={words[number + 1]}", *words[number + 2 :]]
    return list(words)


def _temperatures(given: Sequence[str]) -> list[float] | None:
    if not given:
        return None
    if len(given) > 1:
        raise DistillError(f"{' '.join(given)} is not allowed: give temperatures together, such as T=1,3,10.")
    return _numbers("T", given[0].removeprefix("T="), _temperature, _MOST_TEMPERATURES, "=")


_N = TypeVar("_N", int, float)


def _numbers(key: str, given: str, read: Callable[[str], _N], most: int | None, sign: str = " ") -> list[_N]:
    """The numbers of a list, each once where there may only be so many."""
    found: list[_N] = []
    for word in given.split(","):
        try:
            found.append(read(word.strip()))
        except ValueError as error:
            raise DistillError(f"{key}{sign}{given} is not allowed: {error}.") from None
    if most is None:
        return found
    found = list(dict.fromkeys(found))
    if len(found) > most:
        raise DistillError(f"{key}{sign}{given} is not allowed: give {most} at most.")
    return found


def _finite(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{word} is not finite")
    return number


def _temperature(word: str) -> float:
    number = _finite(word)
    if number <= 0:
        raise ValueError("a temperature is greater than 0")
    return number


def _whole(word: str, least: int, most: int | None = None) -> int:
    if not word.isdecimal() or int(word) < least or (most is not None and int(word) > most):
        up_to = "" if most is None else f" to {most}"
        raise ValueError(f"{word!r} is not a whole number from {least}{up_to}")
    return int(word)
