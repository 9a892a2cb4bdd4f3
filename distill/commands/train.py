"""`distill train`: hands the command line to Hydra."""

from __future__ import annotations

HELP = "Run `distill train --help`: it shows the groups and keys of this installation."


def run(words: list[str]) -> int:
    """Trains, and tells what Hydra has to say in a sentence."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from distill.experiments import launch
    from distill.experiments.follower import following

    with following(words) as words:
        try:
            launch.main(words)
        except (HydraException, OmegaConfBaseException) as error:
            from distill.config.explain import explain
            from distill.errors import DistillError

            raise DistillError(explain(error, words)) from error
    return 0
