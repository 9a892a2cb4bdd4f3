"""Words a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" (did you mean 'x'?)"` for the nearest known word, or nothing when none is near."""
    folded = {other.casefold(): other for other in known if other != word}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.5)
    # `temperature` is far from `T`, but begins with it.
    near = near or sorted((other for other in folded if word.casefold().startswith(other)), key=len)[-1:]
    return f" (did you mean '{folded[near[0]]}'?)" if near else ""
