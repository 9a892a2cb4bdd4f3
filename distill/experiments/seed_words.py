"""`seeds=6` on the command line: a sweep over `seed=0,1,2,3,4,5`, beside whatever else is swept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distill.errors import DistillError

KEY = "seeds"
_MOST = 10_000
_SHOWS = ("--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help")


def given(words: Sequence[str]) -> str | None:
    """The word that asks for several seeds, as the user wrote it."""
    return next((word for word in words if word.lstrip("+").partition("=")[0] == KEY and "=" in word), None)


def spread(words: Sequence[str]) -> list[str]:
    """The words with `seeds=N` written out as the sweep that it stands for, or left out where nothing is trained.

    Args:
        words: The command line after `distill train`.

    Raises:
        DistillError: N is not a whole number from 1 on, or the words say of seeds more than that.
    """
    word = given(words)
    if word is None:
        return list(words)
    others = [other for other in words if other is not word]
    beside = given(others) or next((other for other in others if other.lstrip("+").startswith("seed=")), None)
    if beside is not None:
        raise DistillError(f"{word} and {beside} both say which seeds to take: leave one of them out.")
    number = word.partition("=")[2]
    if not re.fullmatch(r"[0-9]{1,5}", number) or not 1 <= int(number) <= _MOST:
        raise DistillError(
            f"{word} is not allowed: it must be a whole number from 1 to {_MOST:,}, how many seeds to take from 0 on; "
            "-m seed=3,5 takes these two."
        )
    if any(other.partition("=")[0] in _SHOWS for other in others):  # which tell of one run
        return others
    seeds = "seed=" + ",".join(map(str, range(int(number))))
    flag = [] if any(other in ("-m", "--multirun") for other in others) else ["-m"]
    return [*flag, *(seeds if other is word else other for other in words)]
