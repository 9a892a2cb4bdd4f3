"""Shell completion: the commands are answered here, all that follows `train` by Hydra."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

# The commands, and the words that may follow each.
Commands = Mapping[str, Sequence[str]]


def complete(words: list[str], commands: Commands) -> int:
    """Answers `distill -sc install=SHELL`, `uninstall=SHELL` and `query=SHELL`.

    Args:
        words: The command line after `distill`.
        commands: The commands there are, with the words that may follow each.
    """
    line = os.environ.get("COMP_LINE", "")
    if any(word.startswith("query=") for word in words):
        typed = line[: int(os.environ.get("COMP_POINT", len(line)))].split(" ")
        answer = _answer([word for word in typed[:-1] if word], typed[-1], commands)
        if answer is not None:
            print("\n".join(answer))
            return 0
        # To Hydra the command line is that of an application without subcommands and without what is ours alone.
        _, _, after = line.partition(" train ")
        after = re.sub(r"(?<!\S)seeds=\S* ", "", after)
        cut = len(line) - len(f"distill {after}")
        os.environ["COMP_POINT"] = str(int(os.environ.get("COMP_POINT", len(line))) - cut)
        os.environ["COMP_LINE"] = f"distill {after}"
    from distill.experiments import launch

    launch.main(words)
    return 0


def _beyond_hydra(current: str) -> list[str] | None:
    """Hydra knows `model` only without the network it is for, and nothing of `seeds`."""
    from distill.config import tree

    key, equals, _ = current.partition("=")
    if current in ("see", "seed", "seeds"):
        return [f"{key}=" for key in ("seed", "seeds") if key.startswith(current)]
    if equals and key in tree.MOUNTS:
        return [
            f"{key}={choice.name}" for choice in tree.choices("model") if f"{key}={choice.name}".startswith(current)
        ]
    if current.startswith("mo") and not equals:
        return [f"{mount}=" for mount in tree.MOUNTS if mount.startswith(current)] or None
    return None


def _answer(before: list[str], current: str, commands: Commands) -> list[str] | None:
    """Words that may come next; `None` leaves that to Hydra."""
    if len(before) <= 1:
        return [word for word in commands if word.startswith(current)]
    if before[1] == "train":
        return _beyond_hydra(current)
    if len(before) > 2 or before[1] not in commands:
        return []
    return [word for word in commands[before[1]] if word.startswith(current)]
