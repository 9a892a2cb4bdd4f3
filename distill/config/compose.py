"""From a composed Hydra config to a checked `Config`, or to a list of everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distill.config import tree
from distill.config.explain import explain
from distill.config.options import Options, read
from distill.config.registry import Registry
from distill.config.schema import CheckpointOptions, Config, Hparams, RunOptions, StoreOptions
from distill.config.words import did_you_mean
from distill.errors import ConfigError

# The hparams of one role each, and what the data set takes from there.
_HPARAMS_OF_NO_ROLE = ("teacher", "student", "limit_test")
_REFERENCE = re.compile(r"^\$\{(\.*)([\w.@]+)\}$")
_NETWORKS = ("teacher", "student")
# Hparams that mean nothing in a regression.
_ABOUT_CLASSES = ("label_smoothing", "hard_loss", "sampler")
_GROUPS = (*_NETWORKS, "dataset", "method", "hparams", "tracker", "store", "checkpoint")

AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class Registries:
    """What the names in a config may stand for."""

    models: Registry[Any]
    datasets: Registry[Any]
    methods: Registry[Any]
    trackers: Registry[Any]


def check(composed: DictConfig, registries: Registries) -> Config:
    """Types and ranges of every value of a run.

    Args:
        composed: What Hydra composed from `train.yaml`.
        registries: Where the options of each named network, data set, method and tracker are found.

    Returns:
        The run as dataclasses.

    Raises:
        ConfigError: One sentence for each value that is not allowed.
    """
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, ())) from error
    assert isinstance(values, dict)
    missing = sorted(_missing(values, ""))
    if missing:
        raise ConfigError(*(f"{key} has no value: give {key}=..." for key in missing))
    return _Checker(composed, values).config(registries)


def _missing(node: Any, at: str) -> Iterator[str]:
    """Keys that stand without a value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _missing(value, f"{at}.{key}" if at else str(key))
    elif node == MISSING:
        yield at


@cache  # a sweep checks thousands of configs
def _keys_of_methods() -> frozenset[str]:
    return frozenset(key for choice in tree.choices("method") for key in choice.keys)


class _Checker:
    def __init__(self, composed: DictConfig, values: dict[Any, Any]):
        self._raw: Any = OmegaConf.to_container(composed, resolve=False)
        self._values = values
        self._problems: list[str] = []

    def config(self, registries: Registries) -> Config:
        parts = {
            "teacher": self._entry(registries.models, "teacher"),
            "student": self._entry(registries.models, "student"),
            "dataset": self._entry(registries.datasets, "dataset"),
            "method": self._entry(registries.methods, "method"),
            "teacher_hparams": self._group(Hparams, "hparams", "teacher"),
            "student_hparams": self._group(Hparams, "hparams", "student"),
            "store": self._group(StoreOptions, "store"),
            "checkpoint": self._group(CheckpointOptions, "checkpoint"),
            "trackers": self._trackers(registries.trackers),
            "run": self._read(RunOptions, self._run_values(), ()),
        }
        self._problems += self._unknown_hparams()
        if parts["student"] is not None and not parts["student"].train:
            self._problems.append("student.train=false is not allowed: the student is what is trained.")
        teacher = parts["teacher"]
        if teacher is not None and not teacher.train and teacher.source is None:
            self._problems.append("teacher.train=false needs weights: give teacher.checkpoint=FILE.")
        self._problems += self._nothing_to_select_by(parts)
        self._problems += self._classes_missed(parts)
        if self._problems:
            raise ConfigError(*dict.fromkeys(self._problems))
        return Config(**parts)

    def _nothing_to_select_by(self, parts: Mapping[str, Any]) -> Iterator[str]:
        dataset = parts["dataset"]
        for network in _NETWORKS:
            options, hparams = parts[network], parts[f"{network}_hparams"]
            if None in (dataset, options, hparams) or dataset.val_fraction or not options.train:
                continue
            if hparams.select == "best_val":
                key = self._spelled(("hparams", network, "select"))
                yield f"{key}=best_val is not allowed without validation examples: give dataset.val_fraction=0.2."

    def _classes_missed(self, parts: Mapping[str, Any]) -> Iterator[str]:
        """What hparams say of classes where there are none."""
        dataset = parts["dataset"]
        for network in _NETWORKS:
            hparams = parts[f"{network}_hparams"]
            if dataset is None or not dataset.regression or hparams is None:
                continue
            for name in _ABOUT_CLASSES:
                given, off = getattr(hparams, name), getattr(Hparams, name)
                if given != off:
                    key = self._spelled(("hparams", network, name))
                    yield (
                        f"{key}={given} is not allowed with dataset={dataset.name}, which has real-valued targets and "
                        f"no classes: give {off}."
                    )

    def _mapping(self, *at: str) -> Mapping[str, Any] | None:
        values: Mapping[str, Any] = self._values
        for depth, name in enumerate(at, start=1):
            value = values.get(name)
            if not isinstance(value, Mapping):
                given = f"{'.'.join(at[:depth])}={'null' if value is None else value}"
                hint = f"; model@{name}=NAME chooses a network" if name in _NETWORKS and depth == 1 else ""
                self._problems.append(f"{given} is not allowed: it must be a group of keys{hint}.")
                return None
            values = value
        return values

    def _group(self, cls: type[AnyOptions], *at: str) -> AnyOptions | None:
        values = self._mapping(*at)
        return None if values is None else self._read(cls, values, at)

    def _entry(self, registry: Registry[Any], group: str) -> Any:
        values = self._mapping(group)
        if values is None:
            return None
        try:
            entry = registry.find(str(values.get("name")))
        except ConfigError as error:
            self._problems.append(f"{group}.name: {error}")
            return None
        return self._read(entry.options, values, (group,))

    def _trackers(self, registry: Registry[Any]) -> tuple[Any, ...]:
        """Several may be chosen, each with keys under its name."""
        if self._values.get("tracker") is None:
            return ()
        found: list[Any] = []
        for name in self._mapping("tracker") or ():
            values = self._mapping("tracker", name)
            if values is None:
                continue
            try:
                entry = registry.find(name)
            except ConfigError as error:
                self._problems.append(f"tracker: {error}")
                continue
            found.append(self._read(entry.options, {"name": name, **values}, ("tracker", name)))
        return tuple(found)

    def _read(self, cls: type[AnyOptions], values: Mapping[str, Any], at: tuple[str, ...]) -> AnyOptions | None:
        options, problems = read(cls, values, lambda path: self._spelled((*at, *path)))
        self._problems += problems
        return options

    def _run_values(self) -> dict[str, Any]:
        """The top-level keys of the run itself; those a method refers to are checked with the method."""
        known = {*_GROUPS, *_references(self._raw), *_keys_of_methods()}
        return {key: value for key, value in self._values.items() if key not in known}

    def _unknown_hparams(self) -> list[str]:
        """Keys beside those of the roles, which a `+` on the command line adds, and which nobody would read."""
        given = self._values.get("hparams")
        known = {*Hparams.__dataclass_fields__, *_HPARAMS_OF_NO_ROLE} - {"name"}
        unknown = [key for key in given if key not in known] if isinstance(given, Mapping) else []
        return [f"There is no key hparams.{key}{did_you_mean(key, known)}." for key in unknown]

    def _spelled(self, path: tuple[str | int, ...]) -> str:
        """Follows `${...}` back to the key that the user would set."""
        for _ in range(10):
            target = self._target(path)
            if target is None:
                break
            path = target
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")

    def _target(self, path: tuple[Any, ...]) -> tuple[Any, ...] | None:
        node = self._raw
        for depth, part in enumerate(path):
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return None
            match = _REFERENCE.match(node) if isinstance(node, str) else None
            if match:
                dots, name = len(match[1]), match[2]
                base = path[: depth + 1 - dots] if dots else ()
                return (*base, *name.split("."), *path[depth + 1 :])
        return None


def _references(node: Any) -> Iterator[str]:
    """The top-level keys that some value refers to."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
    elif isinstance(node, str):
        for name in re.findall(r"\$\{(\w+)[\w.]*\}", node):
            if name not in RunOptions.__dataclass_fields__:
                yield name
