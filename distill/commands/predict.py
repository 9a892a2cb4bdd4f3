"""`distill predict`: labels for pictures, with probabilities."""

from __future__ import annotations

import sys
from pathlib import Path

from distill.commands.parser import Parser
from distill.errors import DistillError
from distill.files import require_writable

HELP = """\
Label pictures with a network of a run, or answer numbers with one of a regression, in the units of its targets. The
data that it learned from are not needed.

Usage
  distill predict RUN INPUT ... [--role ROLE] [--top N] [--csv FILE] [--device DEVICE] [--negative] [--array NAME]

  RUN         the folder of a run, or one of its files checkpoints/ROLE.safetensors
  INPUT       picture files of any format that Pillow reads, folders (with all below them), patterns in quotes,
              or .npy/.npz files of raw inputs, as the data set had them
  --role      of the network, as the table of the run calls it (default: student)
  --top       how many labels to tell of each input (default: 3)
  --csv       also write a row per input: its labels, then the probability of every class
  --device    auto, cpu, cuda, cuda:N or mps (default: auto)
  --negative  turn pictures of black on white into white on black, such as the digits of MNIST are
  --array     which array of an .npz file (default: the only one, or x_test)

Pictures are prepared as dataset=imagefolder prepares them: the shorter side is scaled to the size that the network
learned from, the middle is kept, and colour becomes grey where it saw grey. Files that are no pictures are named and
left out; the exit code is 2 only if none could be read.

Examples
  distill predict outputs/runs/2026-11-21_10-00-00-000000 scan.png
  distill predict outputs/runs/2026-11-21_10-00-00-000000 photos 'more/**/*.jpg' --csv labels.csv
  distill predict outputs/runs/2026-11-21_10-00-00-000000 inputs.npy --role teacher --top 1

Prints a table, of many inputs the first 40; --csv has them all. Nothing else is written."""

_MOST_NAMED = 10
_TOP = 3


def run(words: list[str]) -> int:
    """Asks a network about inputs."""
    parser = Parser("predict")
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("inputs", metavar="INPUT", nargs="+")
    parser.add_argument("--role")
    parser.add_argument("--top", type=int)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--negative", action="store_true")
    parser.add_argument("--array")
    asked = parser.parse_intermixed_args(words)
    if asked.top is not None and asked.top < 1:
        raise DistillError(f"--top {asked.top} is not allowed: it must be 1 or more.")
    if asked.csv is not None:
        require_writable(asked.csv)

    from rich.console import Console
    from rich.progress import track
    from rich.text import Text

    from distill.data.unlabelled import find, read
    from distill.experiments.prediction import Predictor
    from distill.experiments.saved import open_run
    from distill.results import predicted_numbers
    from distill.results.predicted_numbers import Numbers
    from distill.results.predictions import Shown, written
    from distill.training import device as devices

    files = find(asked.inputs)
    saved = open_run(asked.run)
    predictor = Predictor(saved, saved.role(asked.role), devices.resolve(asked.device))
    top = min(asked.top or _TOP, len(saved.classes))
    if saved.targets is not None and asked.top is not None:
        raise DistillError(f"--top {asked.top} is not allowed: {saved.folder} is a regression, and answers no labels.")
    shown = Shown(saved.classes, top) if saved.targets is None else Numbers(saved.targets.names)
    answers = predictor.ask(read(files, predictor.form, asked.array, negative=asked.negative))
    if asked.csv is not None and saved.targets is not None:
        answers = predicted_numbers.written(answers, saved.targets.names, asked.csv)
    elif asked.csv is not None:
        answers = written(answers, saved.classes, top, asked.csv)
    said = Console(stderr=True)
    for answer in track(answers, "predicting", console=said, transient=True, disable=not said.is_terminal):
        shown.add(answer)

    console = Console()
    shown.print(console)
    if asked.csv is not None:
        console.print(Text(f"Written: {asked.csv}"), soft_wrap=True)
    _warn(predictor.unreadable, predictor.remark())
    return 0


def _warn(unreadable: list[str], remark: str | None) -> None:
    for file in unreadable[:_MOST_NAMED]:
        print(f"distill: warning: {file} is not a picture that can be read; it is left out.", file=sys.stderr)
    if len(unreadable) > _MOST_NAMED:
        rest = len(unreadable) - _MOST_NAMED
        print(f"distill: warning: {rest} files more are no pictures that can be read.", file=sys.stderr)
    if remark is not None:
        print(f"distill: warning: {remark}", file=sys.stderr)
