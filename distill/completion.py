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
        before, _, after = line.partition(" train ")
        shortened = f"distill {after}"
        os.environ["COMP_POINT"] = str(
            int(os.environ.get("COMP_POINT", len(line))) - (len(before) + len(" train ")) + len("distill ")
        )
        os.environ["COMP_LINE"] = shortened
    from distill.experiments import launch

    launch.main(words)
    return 0


def _answer(before: list[str], current: str) -> list[str] | None:
    """Words that may come next; `None` leaves that to Hydra."""
    if len(before) <= 1:
        return [word for word in _COMMANDS if word.startswith(current)]
    if before[1] == "train":
        return None
    if before[1] == "report":
        return []
    return [word for word in _SECOND.get(before[1], ()) if len(before) == 2 and word.startswith(current)]
