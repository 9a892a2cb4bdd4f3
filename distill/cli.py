"""The front door: the subcommands of `distill`, their help, and how each ends. Imports nothing heavy."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from typing import NoReturn

from distill import __version__, commands, help
from distill.errors import DistillError
from distill.training.interrupt import at_once

_MISTAKE, _SIGNALLED = 2, 128


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

        return complete(words, commands.COMMANDS)
    if not words or words[0] in ("-h", "--help", "help"):
        topic = words[1] if words[:1] == ["help"] and len(words) > 1 else None
        print(help.of(topic))
        return 0
    if words[0] in ("-V", "--version"):
        print(f"distill {__version__}")
        return 0
    if words[0] not in commands.COMMANDS:
        from distill.config.words import did_you_mean

        hint = did_you_mean(words[0], [*commands.COMMANDS, "--help", "--version"])
        return _refuse(f"There is no command {words[0]!r}{hint}: it must be one of {', '.join(commands.COMMANDS)}.")
    if words[0] != "train" and any(word in ("-h", "--help") for word in words[1:]):
        print(help.of(words[0]))
        return 0
    return commands.find(words[0]).run(words[1:])


def _refuse(sentence: str) -> int:
    for line in sentence.splitlines():
        print(f"distill: {line}", file=sys.stderr)
    return _MISTAKE


def _interrupted(error: KeyboardInterrupt, words: list[str]) -> int:
    number = getattr(error, "number", 2)
    for again in (signal.SIGINT, signal.SIGTERM):  # all is said and kept: one more would only leave a traceback
        signal.signal(again, signal.SIG_IGN)
    if words[:1] in (["train"], ["search"]):
        folder = getattr(error, "folder", None)
        from distill.training import torchrun

        alone = torchrun.processes() == 1 and words[0] == "train"  # torchrun is given the whole command again
        resume = f", or distill train resume={_near(folder)}," if folder is not None and alone else ""
        print(
            f"distill: stopped; everything up to here is kept: give the same command again{resume} to continue.",
            file=sys.stderr,
        )
    return _SIGNALLED + number


def _near(folder: os.PathLike[str]) -> str:
    near = os.path.relpath(folder)
    return shlex.quote(os.fspath(folder) if near.startswith("..") else near)
