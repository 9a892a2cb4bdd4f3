"""Keys of a run that another command than `train` takes: composed, checked and explained as `train` does it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distill.config import tree
from distill.config.compose import Registries, check
from distill.config.explain import explain, no_name
from distill.config.schema import Config
from distill.errors import ConfigError

# What of a data set is a place, which the user means from the current folder.
_PLACES = ("dataset.path", "dataset.root", "dataset.train", "dataset.test", "dataset.cache")


def of_run(words: Sequence[str], registries: Registries) -> Config:
    """The config of `distill train` with these words.

    Args:
        words: Overrides, one value for each key.
        registries: As for `check`.

    Raises:
        ConfigError: One sentence for each that is not allowed.
    """
    return check(_composed(list(words), words), registries)


def anew(words: Sequence[str], registries: Registries) -> Config:
    """The config of a run that was given these words and nothing else.

    Args:
        words: Overrides; `model=NAME` and `model.KEY=VALUE` mean the student's network.
        registries: As for `check`.

    Raises:
        ConfigError: One sentence for each that is not allowed.
    """
    try:
        return check(_composed([_of_student(word) for word in words], words), registries)
    except ConfigError as error:
        raise ConfigError(*(re.sub(r"\bstudent\.", "model.", problem) for problem in error.problems)) from error


def changed(resolved: DictConfig, words: Sequence[str], registries: Registries) -> Config:
    """The config of an earlier run with a few keys changed.

    Args:
        resolved: What that run was composed to.
        words: Overrides, none of which chooses another option of a group.
        registries: As for `check`.

    Raises:
        ConfigError: One sentence for each that is not allowed.
    """
    composed = _composed([f"dataset={resolved.dataset.name}", *words], words)
    for word in words:
        key = word.lstrip("+").partition("=")[0]
        value = OmegaConf.select(composed, key)
        if key in _PLACES and isinstance(value, str):
            value = str(Path(value).expanduser().absolute())
        OmegaConf.update(resolved, key, value, force_add=True)
    return check(resolved, registries)


def _of_student(word: str) -> str:
    return re.sub(r"^(\+*)model\.", r"\1student.", re.sub(r"^(\+*)model=", r"\1model@student=", word))


def _composed(overrides: list[str], words: Sequence[str]) -> DictConfig:
    try:
        with initialize_config_dir(str(tree.folder()), version_base="1.3"):
            return compose("train", overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, words)) from error
    except ValueError as error:
        sentence = no_name(error, words)
        raise error if sentence is None else ConfigError(sentence) from error
