"""Networks that a method names beside teacher and student, such as `teachers=[resnet56,wrn_40_2]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import yaml

from distill.config import tree
from distill.config.model_options import ModelOptions
from distill.config.options import read
from distill.config.words import did_you_mean
from distill.errors import ConfigError
from distill.models import models


def named(key: str, given: Any, seed: int) -> ModelOptions:
    """The options of a network.

    Args:
        key: Under which the user wrote it, such as `method.teachers`.
        given: The name of a file in `conf/model`, or a mapping of options with the `name` of a network.
        seed: Of its initial weights and its training, where the mapping has none.

    Raises:
        ConfigError: There is no such network, or an option of it is not allowed.
    """
    values = dict(given) if isinstance(given, Mapping) else _shipped(key, str(given))
    try:
        entry = models.find(str(values.get("name")))
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    options, problems = read(entry.options, {"seed": seed, **values}, lambda path: ".".join([key, *map(str, path)]))
    if options is None:
        raise ConfigError(*problems)
    return cast(ModelOptions, options)


def _shipped(key: str, name: str) -> dict[str, Any]:
    known = [choice.name for choice in tree.choices("model")]
    if name not in known:
        raise ConfigError(
            f"{key}={name} is not allowed: there is no such network{did_you_mean(name, known)}; `distill list models` "
            "shows all, and a mapping such as {name: mlp, widths: [64]} takes any options."
        )
    return yaml.safe_load((tree.folder() / "model" / f"{name}.yaml").read_text(encoding="utf-8"))
