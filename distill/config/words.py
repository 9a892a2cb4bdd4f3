"""Words a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` for the nearest known word, or nothing when none is near."""
    folded = {other.casefold(): other for other in known if other != word}
    word = word.casefold()
    near = difflib.get_close_matches(word, folded, n=1, cutoff=0.7)
    # `temperature` is far from `T`, but begins with it.
    near = near or sorted((other for other in folded if word.startswith(other)), key=len)[-1:]
    near = near or difflib.get_close_matches(word, folded, n=1, cutoff=0.5)
    return f" (did you mean '{folded[near[0]]}'?)" if near else ""
