"""The method that a plan of several steps uses at each of them, such as `base=hinton`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from distill.config.options import Options, read
from distill.config.words import did_you_mean
from distill.errors import ConfigError
from distill.methods.base import Method, methods


def base_options(method: str, name: str, given: Mapping[str, Any], **usual: Any) -> Options:
    """The options of the method that is used at each step.

    Args:
        method: The one whose plan this is.
        name: Of the base, as the user wrote it.
        given: Its options that the user wrote.
        usual: Values such as `T` and `alpha`, for a base that has these options and was not given them.

    Raises:
        ConfigError: It is no method that one teacher teaches one student with, or an option is not allowed.
    """
    try:
        entry = methods.find(name)
    except ConfigError as error:
        sentence = str(error)
        raise ConfigError(f"method.base={name} is not allowed: {sentence[0].lower()}{sentence[1:]}") from error
    if not offline(entry.factory):
        raise ConfigError(
            f"method.base={name} is not allowed with method={method}: it must be a method by which one teacher that is "
            "trained already teaches one student, such as hinton, at or dkd."
        )
    known = [field.name for field in fields(entry.options)]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ConfigError(
            *(f"There is no key method.options.{key}: {name} has none{did_you_mean(key, known)}." for key in unknown)
        )
    values = {**{key: value for key, value in usual.items() if key in known}, **given}
    options, problems = read(
        entry.options, {"name": name, **values}, lambda path: ".".join(["method.options", *map(str, path)])
    )
    if options is None:
        raise ConfigError(*problems)
    return options


def offline(factory: type[Method]) -> bool:
    """Whether with this method one teacher that is trained already teaches one student."""
    return factory.uses_teacher and not factory.arranges()
