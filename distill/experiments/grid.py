"""The jobs of a grid sweep, checked before the first of them trains."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from distill.config.compose import Registries, check
from distill.errors import ConfigError
from distill.experiments.plan import plan

_ALL_OF_THEM = 500  # jobs; of more, each value is checked beside the first values of all other keys


def problems(config: DictConfig, loader: ConfigLoader, registries: Registries) -> list[str]:
    """What is not allowed in any job of a sweep over all combinations of its values.

    Args:
        config: What Hydra composed for the sweep, with its own node.
        loader: Hydra's.
        registries: As for `check`.

    Returns:
        One sentence for each value that is not allowed; none where Hydra cannot compose the jobs, as it says so itself.
    """
    found: list[str] = []
    try:
        for job in _jobs(config, loader):
            try:
                plan(check(job, registries))
            except ConfigError as error:
                found += error.problems
    except (HydraException, OmegaConfBaseException, ValueError):
        return []
    return list(dict.fromkeys(found))


def _jobs(config: DictConfig, loader: ConfigLoader) -> Iterator[DictConfig]:
    """The configs of the jobs, without Hydra's own node.

    Composing takes Hydra a tenth of a second; a value that chooses no file is put into what is composed already.
    """
    parser = OverridesParser.create(loader)
    params = config.hydra.sweeper.get("params") or {}
    words = parser.parse_overrides([*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task])
    swept = {word.get_key_element() for word in words if word.is_sweep_override() and not _chooses(word, loader)}
    composed: dict[tuple[str, ...], DictConfig] = {}
    for job in _chosen(BasicSweeper.split_arguments(words, None)[0]):
        rest = tuple(word for word in job if word.partition("=")[0] not in swept)
        if rest not in composed:
            whole = loader.load_sweep_config(config, list(rest))
            composed[rest] = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
            OmegaConf.set_struct(composed[rest], True)  # as Hydra's is
        own = copy.deepcopy(composed[rest])
        for word in parser.parse_overrides([word for word in job if word.partition("=")[0] in swept]):
            OmegaConf.update(own, word.key_or_group, word.value(), force_add=word.is_add() or word.is_force_add())
        yield own


def _chooses(word: Override, loader: ConfigLoader) -> bool:
    return word.package is not None or bool(loader.get_group_options(word.key_or_group))


def _chosen(jobs: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    """All jobs, or the first one with each value."""
    if len(jobs) <= _ALL_OF_THEM:
        return jobs
    first: dict[str, Sequence[str]] = {}
    for job in jobs:
        for word in job:
            first.setdefault(word, job)
    return list({tuple(job): job for job in first.values()}.values())
