"""The arguments of a command, whose mistakes are told in one sentence."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from distill.config.words import did_you_mean
from distill.errors import DistillError


class Parser(argparse.ArgumentParser):
    """Says mistakes in one sentence; help is written by hand, beside each command.

    Args:
        prog: The command, without `distill`.
    """

    def __init__(self, prog: str, **kwargs: Any):
        super().__init__(prog, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Ends the command with a sentence."""
        command = self.prog.split()[0]
        if choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            allowed = choice[2].replace("'", "").split(", ")
            hint = did_you_mean(choice[1], allowed)
            message = f"{choice[1]!r} is not allowed{hint}: it must be one of {', '.join(allowed)}"
        raise DistillError(f"`distill {self.prog}`: {message}; see `distill {command} --help`.")
