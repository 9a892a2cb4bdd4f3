"""`distill report`: tables, plots and verdict from what runs left."""

from __future__ import annotations

from pathlib import Path

from distill.commands.parser import Parser

HELP = """\
Rebuild tables, plots and verdict from the folders that runs and sweeps left; nothing is trained.

Usage
  distill report [PATH ...] [--output FOLDER] [--by KEYS] [--metric COLUMNS]
                 [--markdown FILE] [--latex FILE] [--csv FILE] [--json FILE] [--html FILE]

  PATH        a run, a sweep, or a folder that holds any of them (default: outputs); several are joined,
              and what is there twice counts once
  --output    where report.csv, report.md and plots go (default: the folder that was given; `report` for several)
  --by        group by these keys instead, such as method,T: columns of results.csv or keys of the command line
              (the end is enough: lr for hparams.student.lr)
  --metric    the columns whose means are shown, such as accuracy,latency_ms (default: accuracy)
  --html      one page with all figures, which needs no network
  --markdown  tables for GitHub       --latex  a booktabs table for a paper
  --csv       a line per network, or per group of --by
  --json      verdict, underpowered, warnings, keys; chosen_by, tried (settings) and winner (its place in groups);
              groups: role, model, label, keys, accuracy, val_accuracy, gain, runs; comparisons: first, second
              (places in groups), difference; runs: folder, command, seed, versions, networks ...; cells, of --by.
              Each measure is mean, std, n, low, high (95 %); paired ones have p, adjusted (for being several) and wins.
              Accuracies are 0..1, gains and differences in points.

Examples
  distill report
  distill report outputs/sweeps --by method,T --metric accuracy,nll
  distill report outputs/runs other/outputs --html report.html --latex table.tex

Prints table and verdict. Without --by, --metric and formats it also writes report.csv, report.md and plots (accuracy
over T and alpha when a sweep varied them); a run that lacks its curves.png gets it. With formats just those files are
written; - as FILE is standard output, where nothing else is printed then."""


def run(words: list[str]) -> int:
    """Joins runs and writes a report."""
    from rich.console import Console
    from rich.text import Text

    from distill.results.formats import FORMATS, STDOUT
    from distill.results.report import report

    parser = Parser("report")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("outputs")])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--by", action="extend", type=_names, default=[])
    parser.add_argument("--metric", action="extend", type=_names, default=[])
    for kind in FORMATS:
        parser.add_argument(f"--{kind}")
    asked = parser.parse_args(words)
    targets = {kind: getattr(asked, kind) for kind in FORMATS if getattr(asked, kind) is not None}
    console = Console(stderr=STDOUT in targets.values())
    written = report(asked.paths, asked.output, console, targets, asked.by, asked.metric)
    if written:
        console.print(Text("\n  ".join(["\nWritten:", *map(str, written)])), soft_wrap=True)
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
