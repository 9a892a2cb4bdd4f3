"""The terms of a composition: reading what the user wrote, such as `hinton+0.5*at`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from distill.config.options import Options, read
from distill.config.words import did_you_mean
from distill.errors import ConfigError
from distill.methods.base import Method, methods

# Not the plus of 1e+3.
_PLUS = re.compile(r"(?<![\d.][eE])\+")
_SCALED = re.compile(r"\s*(?:(?P<scale>[^*]*?)\s*\*)?\s*(?P<name>\w+)\s*")
_FORM = "give names of methods joined by +, where need be with a factor, such as hinton+0.5*at"


@dataclass(frozen=True)
class Term:
    """One method of a composition.

    Attributes:
        scale: Factor of all that it adds to the loss.
        options: Its own, all of them.
    """

    scale: float
    options: Options


def read_terms(written: str | list[Any]) -> tuple[Term, ...]:
    """The terms that a user means.

    Args:
        written: `hinton+0.5*at`; or a list of names, of names with a factor, and of mappings with the keys `name`,
            `scale` and those of the method.

    Raises:
        ConfigError: One sentence for everything that is wrong with them; each begins with `terms`.
    """
    one = isinstance(written, str)
    items = _PLUS.split(written) if one else written
    found: dict[str, Term] = {}
    problems: list[str] = [] if items else [f"terms=[] is not allowed: {_FORM}."]
    for number, item in enumerate(items):
        place = "terms" if one else f"terms[{number}]"
        given = f"terms={written}" if one else f"{place}={_shown(item)}"
        try:
            term = _term(place, given, item)
            if term.options.name in found:
                raise ConfigError(f"{given} is not allowed: {term.options.name} is there twice; give it one factor.")
            found[term.options.name] = term
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return tuple(found.values())


def _term(place: str, given: str, item: Any) -> Term:
    name, scale, values = _parts(given, item)
    try:
        entry = methods.find(name)
    except ConfigError as error:
        sentence = str(error)
        raise ConfigError(f"{given} is not allowed: {sentence[0].lower()}{sentence[1:]}") from error
    reason = _unfit(name, entry.factory)
    if reason is not None:
        raise ConfigError(f"{given} is not allowed: {name} {reason}, so it cannot be a part of a composition.")
    known = [field.name for field in fields(entry.options)]
    problems = [
        f"{place}.{key} is not allowed: {name} has no such option{did_you_mean(key, known)}."
        for key in values
        if key not in known
    ]
    if "hard_weight" in values:
        problems.append(f"{place}.hard_weight is not allowed: labels count once, with method.hard_weight.")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 <= scale < math.inf:
        problems.append(f"{given} is not allowed: the scale of {name} must be a number greater than or equal to 0.")
    own = {key: value for key, value in values.items() if key in known}
    options, wrong = read(entry.options, {"name": name, **own}, lambda path: ".".join([place, *map(str, path)]))
    if options is None or problems:
        raise ConfigError(*problems, *wrong)
    return Term(float(scale), options)


def _parts(given: str, item: Any) -> tuple[str, Any, dict[str, Any]]:
    """Name, scale and options as they are written."""
    if isinstance(item, Mapping):
        values = {str(key): value for key, value in item.items()}
        return str(values.pop("name", "")), values.pop("scale", 1.0), values
    match = _SCALED.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        raise ConfigError(f"{given} is not allowed: {_FORM}.")
    try:
        return match["name"], 1.0 if match["scale"] is None else float(match["scale"]), {}
    except ValueError:
        return match["name"], match["scale"], {}


def _shown(item: Any) -> str:
    return str(item.get("name")) if isinstance(item, Mapping) else str(item)


def _unfit(name: str, factory: type[Method]) -> str | None:
    if name == "compose":
        return "is one itself"
    if not factory.uses_teacher:
        return "needs no teacher"
    if factory.arranges():
        return "has a plan of its own"
    if "heads" in factory.taps:
        return "gives labels and teacher a head each"
    return "trains another network than the student" if factory.redesigns() else None
