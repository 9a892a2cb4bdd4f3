"""Mistakes a user can make, each told in one sentence; the command line prints it and exits with code 2."""

from __future__ import annotations

from typing import Any


class DistillError(Exception):
    """Anything that ends a command with a sentence instead of a traceback."""


class ConfigError(DistillError):
    """Values of a configuration that are not allowed.

    Args:
        problems: One sentence per problem: the key, what was given, what is allowed.
    """

    def __init__(self, *problems: str):
        self.problems = problems
        super().__init__("\n".join(problems))

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:
        return type(self), self.problems


class DataError(DistillError):
    """Data that is missing, unreadable, or not what it claims to be."""


class CheckpointError(DistillError):
    """A file of weights that is corrupt, unsafe, or does not fit the network."""


class DeviceError(DistillError):
    """A device that was asked for and is not there."""


class TrainingError(DistillError):
    """Training that cannot go on, such as a loss that is not finite.

    Args:
        sentence: What happened and what may help.
        facts: More than a sentence holds, for the record of the run.
    """

    def __init__(self, sentence: str, **facts: Any):
        self.facts = facts
        super().__init__(sentence)
