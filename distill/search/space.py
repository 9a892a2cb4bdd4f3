"""A space of students: families of networks, and what may be chosen of each; read from YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from distill.config import tree
from distill.config.words import did_you_mean
from distill.errors import ConfigError

_MODEL = "model"
_FAMILY = "family"


class Choosing(Protocol):
    """Makes the choices that a candidate consists of; each has a name of its own."""

    def one_of(self, name: str, count: int) -> int:
        """A whole number from 0 to below `count`, in no order."""
        ...

    def whole(self, name: str, low: int, high: int, step: int | None) -> int:
        """A whole number from `low` to `high`: every `step`th, or any, with small ones as likely as large by ratio."""
        ...


class Values(Protocol):
    """What may stand for one option of a network."""

    def choose(self, name: str, choosing: Choosing) -> Any:
        """One of the values."""
        ...


@dataclass(frozen=True)
class OneOf:
    """`[a, b, c]`: one of these."""

    values: Sequence[Any]

    def choose(self, name: str, choosing: Choosing) -> Any:
        """One of the values."""
        return self.values[choosing.one_of(name, len(self.values))]


@dataclass(frozen=True)
class Between:
    """`{from: 8, to: 512}`: a whole number, evenly on a log scale; evenly with `step: 8`."""

    low: int
    high: int
    step: int | None

    def choose(self, name: str, choosing: Choosing) -> int:
        """A number."""
        return choosing.whole(name, self.low, self.high, self.step)


@dataclass(frozen=True)
class Layers:
    """`{layers: [1, 2, 3], each: ...}`: a list of so many values, each chosen for itself."""

    counts: Sequence[int]
    each: Values

    def choose(self, name: str, choosing: Choosing) -> list[Any]:
        """A list."""
        count = self.counts[choosing.one_of(f"{name}.layers", len(self.counts))]
        return [self.each.choose(f"{name}.{place}", choosing) for place in range(count)]


@dataclass(frozen=True)
class Times:
    """`{times: [1, 1, 2, 4], of: ...}`: a list of one number, taken so many times."""

    factors: Sequence[int]
    of: Values

    def choose(self, name: str, choosing: Choosing) -> list[int]:
        """A list."""
        number = self.of.choose(name, choosing)
        return [factor * number for factor in self.factors]


@dataclass(frozen=True)
class Candidate:
    """A network of a space.

    Attributes:
        family: Its name in the space.
        model: The option of `model@student` that it is made of.
        chosen: Options in place of that one's own.
        values: All of its options, as `conf/model` and the choices say.
    """

    family: str
    model: str
    chosen: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def words(self) -> list[str]:
        """What chooses it as the student on the command line of `distill train`."""
        chosen = (f"student.{key}={_written(value)}" for key, value in self.chosen.items())
        return [f"model@student={self.model}", *chosen]

    def label(self) -> str:
        """Family and choices, such as `resnet depth=14 widths=8-8-16-32`."""
        chosen = (f"{key}={_written(value).strip('[]').replace(',', '-')}" for key, value in self.chosen.items())
        return " ".join([self.family, *chosen])


@dataclass(frozen=True)
class _Family:
    model: str
    keys: Mapping[str, Values]
    base: Mapping[str, Any]


class Space:
    """The families of a space.

    Args:
        name: As the user gave it.
        families: By name.
    """

    def __init__(self, name: str, families: Mapping[str, _Family]):
        self.name = name
        self.families = families

    def candidate(self, choosing: Choosing, family: str | None = None) -> Candidate:
        """One network.

        Args:
            choosing: Makes the choices.
            family: Of this family; `None` leaves that to choose, too.
        """
        names = list(self.families)
        if family is None:
            family = names[choosing.one_of(_FAMILY, len(names))] if len(names) > 1 else names[0]
        found = self.families[family]
        chosen = {key: values.choose(f"{family}.{key}", choosing) for key, values in found.keys.items()}
        return Candidate(family, found.model, chosen, {**found.base, **chosen})


def load(name: str) -> Space:
    """Reads a space.

    Args:
        name: Of one that ships, or the path of a YAML file.

    Raises:
        ConfigError: There is no such space, or its file is not one; a sentence for each mistake.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = [choice.name for choice in tree.choices("space")]
        if name not in known:
            raise ConfigError(
                f"space={name} is not allowed: there is no such space{did_you_mean(name, known)}; it must be one of "
                f"{', '.join(known)}, or a file of your own, such as space=mine.yaml."
            )
        path = tree.spaces() / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"space={name} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"space={name} cannot be read: it is not YAML ({str(error).splitlines()[0]}).") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"space={name} is not allowed: the file must have a family of networks per key.")
    reader = _Reader(name)
    families = {str(family): reader.family(str(family), told) for family, told in content.items()}
    if reader.problems:
        raise ConfigError(*reader.problems)
    return Space(name, {family: found for family, found in families.items() if found is not None})


class _Reader:
    def __init__(self, name: str):
        self.problems: list[str] = []
        self._name = name

    def family(self, family: str, told: Any) -> _Family | None:
        known = [choice.name for choice in tree.choices("model")]
        model = told.get(_MODEL) if isinstance(told, dict) else None
        if model not in known:
            hint = did_you_mean(str(model), known) if model is not None else ""
            return self._refuse(f"{family}.{_MODEL}", model, f"the name of a network{hint}; `distill list models`")
        base = yaml.safe_load((tree.folder() / "model" / f"{model}.yaml").read_text(encoding="utf-8"))
        keys: dict[str, Values] = {}
        for key, given in told.items():
            if key == _MODEL:
                continue
            if key not in base:
                hint = did_you_mean(str(key), base)
                self.problems.append(f"space={self._name}: {model} has no option {key}{hint}.")
            elif (values := self._values(f"{family}.{key}", given)) is not None:
                keys[key] = values
        return _Family(model, keys, base)

    def _values(self, key: str, given: Any) -> Values | None:
        if isinstance(given, list) and given:
            return OneOf(given)
        told: dict[str, Any] = given if isinstance(given, dict) else {}
        names = set(told)
        if {"from", "to"} <= names <= {"from", "to", "step"}:
            return self._between(key, told["from"], told["to"], told.get("step"))
        if names == {"layers", "each"}:
            each = self._values(f"{key}.each", told["each"])
            counts = told["layers"]
            if isinstance(counts, list) and counts and all(type(count) is int and count >= 0 for count in counts):
                return each and Layers(counts, each)
            return self._refuse(f"{key}.layers", counts, "a list of whole numbers, such as [1, 2, 3]")
        if names == {"times", "of"}:
            of, factors = self._values(f"{key}.of", told["of"]), told["times"]
            if isinstance(factors, list) and factors and all(type(factor) is int for factor in factors):
                return of and Times(factors, of)
            return self._refuse(f"{key}.times", factors, "a list of whole numbers, such as [1, 1, 2, 4]")
        shapes = "a list, {from: 8, to: 64}, {layers: [1, 2], each: ...} or {times: [1, 2, 4], of: ...}"
        return self._refuse(key, given, shapes)

    def _between(self, key: str, low: Any, high: Any, step: Any) -> Values | None:
        if all(type(number) is int for number in (low, high)) and 1 <= low <= high:
            if step is None or (type(step) is int and step >= 1):
                return Between(low, high, step)
            return self._refuse(f"{key}.step", step, "a whole number from 1 on")
        return self._refuse(key, {"from": low, "to": high}, "two whole numbers, from <= to, from 1 on")

    def _refuse(self, key: str, given: Any, wanted: str) -> None:
        self.problems.append(f"space={self._name}: {key}={_written(given)} is not allowed: it must be {wanted}.")


def nearest(share: float, low: int, high: int, step: int | None) -> int:
    """The whole number at a share of a range, as `Choosing.whole` means it.

    Args:
        share: 0 to below 1.
        low: Smallest.
        high: Largest.
        step: Between two numbers that may be chosen; `None` for any, evenly on a log scale.
    """
    if step is not None:
        return low + step * int(share * ((high - low) // step + 1))
    number = math.exp(math.log(low - 0.5) + share * (math.log(high + 0.5) - math.log(low - 0.5)))
    return min(high, max(low, round(number)))


def _written(value: Any) -> str:
    """A value as Hydra reads it on a command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(each)}" for key, each in value.items()) + "}"
    return str(value)
