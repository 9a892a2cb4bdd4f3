"""`distill store`: the trained networks that are kept."""

from __future__ import annotations

from pathlib import Path

from distill.commands import COMMANDS
from distill.commands.parser import Parser

HELP = """\
Look into the store of trained networks, which later runs with the same settings reuse.

Usage
  distill store ls [--dir FOLDER]
  distill store rm NAME ... [--dir FOLDER]     NAME: a signature, the beginning of one, or role-signature
  distill store rm --all [--dir FOLDER]        everything, unfinished trainings too

Examples
  distill store ls
  distill store rm student-3f2a
  distill store rm --all --dir elsewhere/store

The store is outputs/store unless `store.dir` says otherwise. Runs keep their own copy of the weights and
their own tables, so that removing a network loses no result."""


def run(words: list[str]) -> int:
    """Lists or removes networks."""
    from distill.experiments import store_command

    names = COMMANDS["store"]
    parser = Parser("store")
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(names), parser_class=Parser)
    for name in names:
        action = actions.add_parser(name)
        action.add_argument("--dir", type=Path, default=Path("outputs/store"))
        if name == "rm":
            action.add_argument("names", nargs="*")
            action.add_argument("--all", action="store_true")
    asked = parser.parse_args(words)
    if asked.action == "ls":
        store_command.show(asked.dir)
    else:
        store_command.remove(asked.dir, asked.names, everything=asked.all)
    return 0
