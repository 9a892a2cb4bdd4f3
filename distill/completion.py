"""Shell completion: the commands are answered here, all that follows `train` by Hydra."""

from __future__ import annotations

import os

_COMMANDS = ("train", "report", "list", "store")
_SECOND = {"list": ("models", "datasets", "methods", "hparams", "experiments"), "store": ("ls", "rm")}


def complete(words: list[str]) -> int:
    """Answers `distill -sc install=SHELL`, `uninstall=SHELL` and `query=SHELL`.

    Args:
        words: The command line after `distill`.
    """
    line = os.environ.get("COMP_LINE", "")
    if any(word.startswith("query=") for word in words):
        typed = line[: int(os.environ.get("COMP_POINT", len(line)))].split(" ")
        answer = _answer([word for word in typed[:-1] if word], typed[-1])
        if answer is not None:
            print("\n".join(answer))
            return 0
        # To Hydra the command line is that of an application without subcommands.
        _, _, after = line.partition(" train ")
        cut = len(line) - len(f"distill {after}")
        os.environ["COMP_POINT"] = str(int(os.environ.get("COMP_POINT", len(line))) - cut)
        os.environ["COMP_LINE"] = f"distill {after}"
    from distill.experiments import launch

    launch.main(words)
    return 0


def _network(current: str) -> list[str] | None:
    """Hydra knows `model` only without the network it is for."""
    from distill.config import tree

    key, equals, _ = current.partition("=")
    if equals and key in tree.MOUNTS:
        return [
            f"{key}={choice.name}" for choice in tree.choices("model") if f"{key}={choice.name}".startswith(current)
        ]
    if current.startswith("mo") and not equals:
        return [f"{mount}=" for mount in tree.MOUNTS if mount.startswith(current)] or None
    return None


def _answer(before: list[str], current: str) -> list[str] | None:
    """Words that may come next; `None` leaves that to Hydra."""
    if len(before) <= 1:
        return [word for word in _COMMANDS if word.startswith(current)]
    if before[1] == "train":
        return _network(current)
    if before[1] == "report":
        return []
    return [word for word in _SECOND.get(before[1], ()) if len(before) == 2 and word.startswith(current)]
