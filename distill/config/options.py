"""Typed options: a mapping from YAML becomes a dataclass, or a list of everything that is wrong with it."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AllowInfNan, Strict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from distill.config.words import did_you_mean

Count = Annotated[int, Strict(), Ge(1)]
Natural = Annotated[int, Strict(), Ge(0)]
Real = Annotated[float, Strict(), AllowInfNan(False)]
Positive = Annotated[float, Strict(), AllowInfNan(False), Gt(0)]
NonNegative = Annotated[float, Strict(), AllowInfNan(False), Ge(0)]
Fraction = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1)]
BelowOne = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Lt(1)]
AtLeastOne = Annotated[float, Strict(), AllowInfNan(False), Ge(1)]
Flag = Annotated[bool, Strict()]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of every options dataclass; a key that is not a field is an error.

    Attributes:
        name: The name under which the code that these options configure is registered.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str = ""

    def check(self) -> Iterable[str]:
        """Sentences about values that are wrong only together; each begins with `key=value`."""
        return ()


AnyOptions = TypeVar("AnyOptions", bound=Options)


@functools.cache
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def read(
    cls: type[AnyOptions],
    values: Mapping[str, Any],
    key: Callable[[tuple[str | int, ...]], str] = lambda path: ".".join(map(str, path)),
) -> tuple[AnyOptions | None, list[str]]:
    """Turns a mapping into options.

    Args:
        cls: The options dataclass.
        values: What the user asked for; missing keys take the dataclass's defaults.
        key: Spells the path of a value the way the user would write it on the command line.

    Returns:
        The options and no problems, or `None` and one sentence per problem.
    """
    try:
        options = _adapter(cls).validate_python(dict(values))
    except ValidationError as error:
        return None, _sentences(cls, error.errors(), key)
    problems = [key((name,)) + rest for name, rest in map(_first_word, options.check())]
    return (None, problems) if problems else (options, [])


def _sentences(
    cls: type[Options], errors: list[ErrorDetails], key: Callable[[tuple[str | int, ...]], str]
) -> list[str]:
    unknown: list[str] = []
    allowed: dict[str, list[str]] = {}
    for error in errors:
        path = _path(error["loc"])
        if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            hint = did_you_mean(str(path[-1]), (field.name for field in dataclasses.fields(cls)))
            unknown.append(f"There is no key {key(path)}{hint}.")
        else:
            allowed.setdefault(f"{key(path)}={_shown(error['input'])}", []).append(_allowed(error["msg"]))
    # A union reports once per member; together they say what is allowed.
    return unknown + [
        f"{given} is not allowed: it must be {' or '.join(dict.fromkeys(choices))}."
        for given, choices in allowed.items()
    ]


def _allowed(message: str) -> str:
    message = message.removeprefix("Input should be ").replace("a valid ", "a ")
    return message.replace("an integer", "a whole number").replace("a integer", "a whole number")


def _first_word(sentence: str) -> tuple[str, str]:
    word = re.match(r"\w+", sentence)
    return (word[0], sentence[word.end() :]) if word else ("", sentence)


def _path(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drops the type names that pydantic adds to the location of a union's member."""
    return tuple(part for part in location if isinstance(part, int) or (part.isidentifier() and part not in _TYPES))


_TYPES = {"int", "float", "str", "bool", "list", "dict", "none", "nullable"}


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
