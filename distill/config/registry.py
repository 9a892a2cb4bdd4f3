"""Names that a config may ask for and the code behind each, imported only when its name is asked for."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, Generic, TypeVar

from distill.config.options import Options, read
from distill.config.words import did_you_mean
from distill.errors import ConfigError

Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[Factory]):
    """What stands behind a name: how it is configured, and what makes it."""

    name: str
    options: type[Options]
    factory: Factory


class Registry(Generic[Factory]):
    """Entries of one kind, found in the modules of one package.

    Args:
        kind: What the entries are, in the singular, for messages.
        package: Where they live. The name `x` is looked for in the module `x` of that package first, then
            in every module of it, so that a tight family may share a file.
    """

    def __init__(self, kind: str, package: str):
        self.kind = kind
        self.package = package
        self._entries: dict[str, Entry[Factory]] = {}
        self._hidden: set[str] = set()

    def register(self, name: str, options: type[Options], *, hidden: bool = False) -> Callable[[Factory], Factory]:
        """Decorates the function or class that makes the thing called `name`.

        Args:
            name: In `name=...` of the options.
            options: How it is configured.
            hidden: Whether it is a step of another one, which no config asks for.
        """

        def remember(factory: Factory) -> Factory:
            known = self._entries.get(name)
            if known is not None and _place(known.factory) != _place(factory):
                raise ValueError(f"{self.kind} {name!r} is registered twice: {known.factory} and {factory}")
            self._entries[name] = Entry(name, options, factory)
            if hidden:
                self._hidden.add(name)
            return factory

        return remember

    def find(self, name: str) -> Entry[Factory]:
        """The entry called `name`.

        Raises:
            ConfigError: There is none.
        """
        if name not in self._entries:
            self._import(name)
        if name not in self._entries:
            known = ", ".join(self.names())
            hint = did_you_mean(name, self.names())
            raise ConfigError(f"There is no {self.kind} called {name!r}{hint}; known: {known}.")
        return self._entries[name]

    def names(self) -> list[str]:
        """All names that a config may ask for, which imports every module of the package."""
        for module in self._modules():
            importlib.import_module(f"{self.package}.{module}")
        return sorted(self._entries.keys() - self._hidden)

    def create(self, name: str, **values: Any) -> Any:
        """Makes the thing called `name` with the given options and defaults for the rest.

        Raises:
            ConfigError: The name is unknown, or an option is not allowed.
        """
        entry = self.find(name)
        options, problems = read(entry.options, {"name": name, **values})
        if options is None:
            raise ConfigError(*problems)
        return entry.factory(options)

    def _import(self, name: str) -> None:
        modules = self._modules()
        for module in [name] if name in modules else modules:
            importlib.import_module(f"{self.package}.{module}")

    def _modules(self) -> list[str]:
        path = importlib.import_module(self.package).__path__
        return sorted(module.name for module in pkgutil.iter_modules(path))


def _place(factory: Callable[..., Any]) -> tuple[str, str]:
    return factory.__module__, factory.__qualname__


def defaults(options: type[Options]) -> dict[str, Any]:
    """The default of every field of an options dataclass that has one."""
    found: dict[str, Any] = {}
    for field in fields(options):
        if field.default is not MISSING:
            found[field.name] = field.default
        elif field.default_factory is not MISSING:
            found[field.name] = field.default_factory()
    return found
