"""What `distill search` is asked for: the words that are its own, typed, and those of an ordinary run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from distill.config import tree
from distill.config.options import Count, Options, Positive, read
from distill.errors import ConfigError

Strategy = Literal["random", "tpe"]

_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([kMG]?)")
_NEAR = 0.8
# What a search cannot take from the command line of a run, and why.
_REFUSED = (
    (r"-.*", "a search takes only key=value, with one value each"),
    (r"[^=]+=[^\[{('\"]*,.*", "a search takes one value for each key"),
    (r"budget=.*", "say of what, such as budget.params=200k"),
    (r"seeds=.*", "a search has one seed; the command that it ends with repeats the winner with several"),
    (r"resume=.*", "give the same command again, which goes on"),
    (r"model@student=.*|student\..*", "the student is what is searched for; space=... says among which"),
    (r"hydra[./].*", "candidates are trained one after the other, in this process"),
    (r"tracker[.=].*", "no tracker follows a search; search.csv has every candidate"),
    (r"sampler=(tpe|random|both)", "it is strategy=... that says how candidates are proposed"),
)


@dataclass(frozen=True, kw_only=True)
class BudgetOptions(Options):
    """What a student may cost; `None` is no limit.

    Attributes:
        params: Parameters.
        flops: Floating-point operations of a forward pass of one example; a multiply-accumulate counts 2.
        latency_ms: Median time of a forward pass of one example, milliseconds.
    """

    params: Count | None = None
    flops: Count | None = None
    latency_ms: Positive | None = None

    @property
    def limits(self) -> dict[str, float]:
        """Those that are set, by name."""
        named = ((each.name, getattr(self, each.name)) for each in fields(self) if each.name != "name")
        return {name: limit for name, limit in named if limit is not None}

    @property
    def cost(self) -> str:
        """What candidates are compared by beside accuracy: the first limit, or the parameters where there is none."""
        return next(iter(self.limits), "params")


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Options):
    """The keys of a search.

    Attributes:
        space: Name of a space that ships, or a file of one's own.
        budget: What a student may cost.
        trials: Candidates that are trained, for each strategy.
        strategy: How candidates are proposed: at `random`, by `tpe` (tree-structured Parzen estimator, Bergstra et
            al. 2011), or `both`, one after the other at the same cost.
        halving: One candidate in so many goes on to the next rung of epochs (successive halving, Jamieson and
            Talwalkar 2016); 1 trains all of them in full.
    """

    space: str
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    trials: Count = 20
    strategy: Literal["both", "tpe", "random"] = "both"
    halving: Count = 3

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """In the order in which they search; TPE begins with what was found at random."""
        return ("random", "tpe") if self.strategy == "both" else (self.strategy,)


_OWN = tuple(each.name for each in fields(SearchOptions) if each.name != "name")
_KEYS = (*(key for key in _OWN if key != "budget"), *(f"budget.{key}" for key in ("params", "flops", "latency_ms")))


def parse(words: Sequence[str]) -> tuple[SearchOptions, list[str]]:
    """The options of a search, and the words of the run that trains its candidates.

    Args:
        words: The command line after `distill search`.

    Raises:
        ConfigError: One sentence for each word that is not allowed.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    budget: dict[str, Any] = {}
    rest: list[str] = []
    for word in words:
        key, equals, value = word.lstrip("+").partition("=")
        reason = next((why for pattern, why in _REFUSED if re.fullmatch(pattern, word.lstrip("+"))), None)
        if reason is not None:
            problems.append(f"{word} is not allowed: {reason}.")
        elif key.startswith("budget.") and equals:
            budget[key.removeprefix("budget.")] = _amount(value)
        elif key in _OWN and key != "budget" and equals:
            values[key] = int(value) if re.fullmatch(r"-?\d+", value) else value
        elif near := _meant(key) if equals else None:
            problems.append(f"There is no key {key} (did you mean {near!r}?).")
        else:
            rest.append(word)
    if "space" not in values:
        problems.append("space has no value: give space=NAME; `distill list spaces` shows those that ship.")
    options, wrong = read(SearchOptions, {"space": "", **values, "budget": budget})
    if options is None or problems:
        raise ConfigError(*problems, *wrong)
    return options, rest


def _amount(given: str) -> Any:
    """A number with its suffix, such as `200k`; what is none is left for the check to name."""
    match = _AMOUNT.fullmatch(given)
    if match is None:
        return given
    number = Decimal(match[1]) * _FACTORS[match[2]]
    return int(number) if number == int(number) else float(number)


def _meant(key: str) -> str | None:
    """One of our own keys, where a word is nearly that and nothing that a run knows."""
    near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=_NEAR)
    return near[0] if near and key not in tree.known_keys() else None
