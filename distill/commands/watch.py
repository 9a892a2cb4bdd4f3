"""`distill watch`: how far running sweeps and runs are."""

from __future__ import annotations

from pathlib import Path

from distill.commands.parser import Parser

HELP = """\
Watch sweeps and runs while they train: a live table of their jobs, what each is doing, how long it will take, and
the best so far by validation accuracy. It ends when nothing runs any more; Ctrl-C ends it at any time and leaves
the runs alone.

Usage
  distill watch [PATH] [--follow] [--once]

  PATH      a run, a sweep, or a folder that holds any of them (default: outputs)
  --follow  keep waiting for the next run when nothing runs
  --once    one look, with all jobs; so does a pipe

Examples
  distill watch
  distill watch outputs/sweeps/2026-11-21_10-00-00-000000
  distill watch --once | grep failed

Nothing is written: what it shows is read from outputs/, from run.json and progress.json of each run."""


def run(words: list[str]) -> int:
    """Shows what runs."""
    from rich.console import Console

    from distill.results.watch import watch

    parser = Parser("watch")
    parser.add_argument("path", nargs="?", type=Path, default=Path("outputs"))
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("--once", action="store_true")
    asked = parser.parse_args(words)
    watch(asked.path, Console(), once=asked.once, follow=asked.follow)
    return 0
