"""The front door: the subcommands of `distill`, their help, and how each ends. Imports nothing heavy."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from distill import __version__, help
from distill.errors import DistillError
from distill.training.interrupt import at_once

_MISTAKE, _SIGNALLED = 2, 128
_STORE_ACTIONS = ("ls", "rm")


def main() -> NoReturn:
    """Runs the command line of this process and exits: 0 done, 2 a mistake in what was asked, 130 interrupted."""
    words = sys.argv[1:]
    try:
        with at_once():
            code = _dispatch(words)
        sys.stdout.flush()  # so that a reader who went away is met here and not at the end of the interpreter
    except DistillError as error:
        code = _refuse(str(error))
    except KeyboardInterrupt as error:
        code = _interrupted(error, words)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; that is no error of anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _SIGNALLED + 13
    except OSError as error:
        code = _refuse(f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}.")
    sys.exit(code)


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["-sc"] or any(word.startswith("--shell-completion") or word == "-sc" for word in words):
        from distill.completion import complete
        from distill.config.tree import KINDS

        return complete(words, {**dict.fromkeys(_COMMANDS, ()), "list": tuple(KINDS), "store": _STORE_ACTIONS})
    if not words or words[0] in ("-h", "--help", "help"):
        topic = words[1] if words[:1] == ["help"] and len(words) > 1 else None
        print(help.of(topic))
        return 0
    if words[0] in ("-V", "--version"):
        print(f"distill {__version__}")
        return 0
    command = _COMMANDS.get(words[0])
    if command is None:
        from distill.config.words import did_you_mean

        hint = did_you_mean(words[0], [*_COMMANDS, "--help", "--version"])
        return _refuse(f"There is no command {words[0]!r}{hint}: it must be one of {', '.join(_COMMANDS)}.")
    if words[0] != "train" and any(word in ("-h", "--help") for word in words[1:]):
        print(help.of(words[0]))
        return 0
    return command(words[1:])


def _train(words: list[str]) -> int:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from distill.experiments import launch
    from distill.experiments.follower import following

    with following(words) as words:
        try:
            launch.main(words)
        except (HydraException, OmegaConfBaseException) as error:
            from distill.config.explain import explain

            raise DistillError(explain(error, words)) from error
    return 0


def _list(words: list[str]) -> int:
    from distill.config.listing import show
    from distill.config.tree import KINDS

    parser = _Parser("list")
    parser.add_argument("kind", choices=KINDS, metavar="|".join(KINDS))
    parser.add_argument("name", nargs="?")
    asked = parser.parse_args(words)
    show(asked.kind, asked.name)
    return 0


def _report(words: list[str]) -> int:
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

    from distill.results.report import report

    parser = _Parser("report")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("outputs")])
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(words)
    console = Console()
    written = report(asked.paths, asked.output, console)
    console.print(Text("\n  ".join(["\nWritten:", *map(str, written)])), soft_wrap=True)
    return 0


def _store(words: list[str]) -> int:
    from pathlib import Path

    from distill.experiments import store_command

    parser = _Parser("store")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="|".join(_STORE_ACTIONS), parser_class=_Parser
    )
    for name in _STORE_ACTIONS:
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


class _Parser(argparse.ArgumentParser):
    """Says mistakes in one sentence; help is written by hand in `distill.help`."""

    def __init__(self, prog: str, **kwargs: Any):
        super().__init__(prog, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Ends the command with a sentence."""
        from distill.config.words import did_you_mean

        command = self.prog.split()[0]
        if choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            allowed = choice[2].replace("'", "").split(", ")
            hint = did_you_mean(choice[1], allowed)
            message = f"{choice[1]!r} is not allowed{hint}: it must be one of {', '.join(allowed)}"
        raise DistillError(f"`distill {self.prog}`: {message}; see `distill {command} --help`.")


def _refuse(sentence: str) -> int:
    for line in sentence.splitlines():
        print(f"distill: {line}", file=sys.stderr)
    return _MISTAKE


def _interrupted(error: KeyboardInterrupt, words: list[str]) -> int:
    number = getattr(error, "number", 2)
    for again in (signal.SIGINT, signal.SIGTERM):  # all is said and kept: one more would only leave a traceback
        signal.signal(again, signal.SIG_IGN)
    if words[:1] == ["train"]:
        folder = getattr(error, "folder", None)
        from distill.training import torchrun

        alone = torchrun.processes() == 1  # torchrun is given the whole command again
        resume = f", or distill train resume={_near(folder)}," if folder is not None and alone else ""
        print(
            f"distill: stopped; everything up to here is kept: give the same command again{resume} to continue.",
            file=sys.stderr,
        )
    return _SIGNALLED + number


def _near(folder: os.PathLike[str]) -> str:
    near = os.path.relpath(folder)
    return shlex.quote(os.fspath(folder) if near.startswith("..") else near)


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "list": _list,
    "report": _report,
    "store": _store,
}
