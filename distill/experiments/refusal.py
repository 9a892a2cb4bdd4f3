"""Why a sweep must not begin."""

from __future__ import annotations

from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from distill.errors import ConfigError, DistillError
from distill.training import torchrun
from distill.training.interrupt import Stop, polite

_ONE_BY_ONE = ".BasicLauncher"
_GRID = ".BasicSweeper"  # every other sweeper looks for the best of something


def is_grid(config: DictConfig) -> bool:
    """Whether a sweep is over all combinations of its values.

    Args:
        config: What Hydra composed for the sweep, with its own node.
    """
    return config.hydra.sweeper._target_.endswith(_GRID)


def of(config: DictConfig, seeds: str | None, resumed: bool) -> DistillError | None:
    """The reason, all of it; `None` for a sweep that may begin.

    Args:
        config: As for `is_grid`.
        seeds: The word that asked for several seeds.
        resumed: Whether the sweep was begun before: what its jobs say was said then.
    """
    launcher = config.hydra.launcher._target_
    if torchrun.processes() > 1 and not launcher.endswith(_ONE_BY_ONE):
        return ConfigError("The processes of torchrun share each job of a sweep: leave out hydra/launcher=...")
    if not is_grid(config):
        return _unsearchable(config, seeds) or _untrackable(config)
    return (None if resumed else _not_allowed(config)) or _untrackable(config)


def _not_allowed(config: DictConfig) -> ConfigError | None:
    """Values with which jobs would fail before they train; jobs of a search are not known yet."""
    stop = Stop()
    with polite(stop):  # torch does not bear being broken off while it is imported
        from distill.experiments import grid
        from distill.experiments.saved import REGISTRIES
    stop.check()
    found = grid.problems(config, GlobalHydra.instance().config_loader(), REGISTRIES)
    return ConfigError(*found) if found else None


def _untrackable(config: DictConfig) -> DistillError | None:
    """Why a tracker cannot start; options of it that are not allowed are for the jobs of a search to tell."""
    if not config.get("tracker"):
        return None
    from distill.tracking.fanout import ready

    chosen: Any = OmegaConf.to_container(config.tracker, resolve=True)
    try:
        ready(chosen)
    except DistillError as error:
        return error
    return None


def _unsearchable(config: DictConfig, seeds: str | None) -> DistillError | None:
    if seeds is not None:
        return DistillError(
            f"{seeds} is not for a search, which would choose the luckiest seed: search with one, then repeat "
            "the best setting with several."
        )
    if not config.dataset.val_fraction:
        return DistillError(
            "There is nothing to choose by: a search takes the best accuracy on validation examples, so give "
            "dataset.val_fraction=0.2."
        )
    direction = config.hydra.sweeper.get("direction", "maximize")
    given = getattr(direction, "name", direction)
    if given != "maximize":
        return DistillError(f"hydra.sweeper.direction={given} is not allowed: for accuracy it must be maximize.")
    return None
