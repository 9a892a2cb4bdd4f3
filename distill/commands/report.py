"""`distill report`: tables, plots and verdict from what runs left."""

from __future__ import annotations

from pathlib import Path

from distill.commands.parser import Parser

HELP = """\
Rebuild tables, plots and verdict from the folders that runs and sweeps left; nothing is trained.

Usage
  distill report [PATH ...] [--output FOLDER]

  PATH      a run, a sweep, or a folder that holds any of them (default: outputs); several are joined
  --output  where to write (default: the folder that was given; `report` for several)

Examples
  distill report
  distill report outputs/sweeps/2026-11-21_10-00-00-000000
  distill report outputs/runs other/outputs --output comparison

Prints the table and the verdict, and writes report.csv, report.md and plots (accuracy over T and alpha when
a sweep varied them) to the output folder; a run that lacks its curves.png gets it."""


def run(words: list[str]) -> int:
    """Joins runs and writes a report."""
    from rich.console import Console
    from rich.text import Text

    from distill.results.report import report

    parser = Parser("report")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("outputs")])
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(words)
    console = Console()
    written = report(asked.paths, asked.output, console)
    console.print(Text("\n  ".join(["\nWritten:", *map(str, written)])), soft_wrap=True)
    return 0
