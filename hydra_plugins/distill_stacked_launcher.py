"""`hydra/launcher=stacked`: the jobs of a sweep in this process, after what can be stacked was trained as one.

Hydra imports this file whenever it starts: everything of distill waits until the launcher is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.core_plugins import basic_launcher
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from distill.config.schema import Config


class StackedLauncher(basic_launcher.BasicLauncher):
    """Trains the networks of all jobs that differ in numbers alone at once, then lets every job run as usual."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before the sweep."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        loader = hydra_context.config_loader
        compose = loader.load_sweep_config
        composed: dict[tuple[str, ...], DictConfig] = {}

        def once(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
            key = tuple(sweep_overrides)
            if key not in composed:
                composed[key] = compose(master_config, sweep_overrides)
            return composed[key]

        # Sweeper, stacking and launching ask in turn, and composing takes longer than a small network's training.
        loader.load_sweep_config = once  # type: ignore[method-assign]

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Called by Hydra with the overrides of each job."""
        from rich.console import Console

        from distill.experiments import stack
        from distill.experiments.display import Display
        from distill.experiments.job import Job
        from distill.results.progress import ProgressFile

        job = self.task_function
        assert isinstance(job, Job)
        assert self.config is not None
        configs = self._configs(job_overrides)
        if configs:  # never with torchrun, which `distill train` refuses together with any launcher
            with ProgressFile(Path(self.config.hydra.sweep.dir)) as file:
                display = Display(Console(stderr=True), configs[0].run.verbosity == "quiet", file)
                job.made = stack.train(configs, display, job.began)
        return super().launch(job_overrides, initial_job_idx)

    def _configs(self, job_overrides: Sequence[Sequence[str]]) -> list[Config]:
        """The jobs' configs; one that is not allowed is left to its job, which says why."""
        from distill.config.compose import Registries, check
        from distill.data import datasets
        from distill.errors import DistillError
        from distill.methods import methods
        from distill.models import models
        from distill.tracking import trackers

        assert self.config is not None
        assert self.hydra_context is not None
        configs: list[Config] = []
        for overrides in job_overrides:
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
            try:
                configs.append(check(own, Registries(models, datasets, methods, trackers)))
            except DistillError:
                continue
        return configs
