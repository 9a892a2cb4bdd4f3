"""Composing a run as the command line would, without starting it."""

from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from distill.config import tree
from distill.config.compose import Registries, check
from distill.config.schema import Config
from distill.data import datasets
from distill.errors import ConfigError
from distill.methods import methods
from distill.models import models
from distill.tracking import trackers


@pytest.fixture(scope="session")
def composed() -> Callable[..., DictConfig]:
    def compose_run(*words: str) -> DictConfig:
        with initialize_config_dir(str(tree.folder()), version_base="1.3"):
            return compose("train", overrides=list(words))

    return compose_run


@pytest.fixture(scope="session")
def checked(composed: Callable[..., DictConfig]) -> Callable[..., Config]:
    def check_run(*words: str) -> Config:
        return check(composed(*words), Registries(models, datasets, methods, trackers))

    return check_run


@pytest.fixture(scope="session")
def problems(checked: Callable[..., Config]) -> Callable[..., tuple[str, ...]]:
    def problems_of(*words: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            checked(*words)
        return caught.value.problems

    return problems_of
