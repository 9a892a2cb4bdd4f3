"""Which candidates may be trained: those that keep the budget and fit data, method and hparams."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from distill.config.model_options import ModelOptions
from distill.config.schema import Config
from distill.errors import ConfigError
from distill.experiments.named import named
from distill.results.columns import shown
from distill.search.costs import Costs, Verdict, judge
from distill.search.options import SearchOptions
from distill.search.outcome import UNITS
from distill.search.space import Candidate
from distill.search.trainer import Trainer

UNFIT = "unfit"
_FAR = 1e3  # times a limit, of what no budget would make fit
_TOLD = 3  # problems; more of them do not help
Key = tuple[str, ...]
# Gives the latency of a candidate: an earlier one, or what the function measures now.
Timed = Callable[[Key, Callable[[], float]], float]


class Gate:
    """Judges each candidate once.

    Args:
        options: The budget and the space's name.
        config: The run whose student is searched for.
        trainer: Of that run.
        device: Where latency is measured.
        timed: Gives latencies.
    """

    def __init__(self, options: SearchOptions, config: Config, trainer: Trainer, device: torch.device, timed: Timed):
        self._options = options
        self._config = config
        self._trainer = trainer
        self._device = device
        self._timed = timed
        self._verdicts: dict[Key, Verdict | ConfigError] = {}

    def network(self, candidate: Candidate) -> ModelOptions:
        """The candidate as the student of the run."""
        return named(f"space={self._options.space}: {candidate.family}", candidate.values, self._config.student.seed)

    def against(self, candidate: Candidate) -> str | None:
        """What keeps a candidate from being trained: the name of a limit, or `UNFIT`; `None` where nothing does."""
        key = tuple(candidate.words)
        if key not in self._verdicts:
            try:
                self._verdicts[key] = self._judged(candidate, key)
            except ConfigError as error:
                self._verdicts[key] = error
        verdict = self._verdicts[key]
        return UNFIT if isinstance(verdict, ConfigError) else verdict.over

    def distance(self, candidate: Candidate) -> float:
        """How far one that was not let in is from that: how many times the limit it costs, above 1."""
        verdict = self._verdicts[tuple(candidate.words)]
        if isinstance(verdict, ConfigError) or verdict.over is None:
            return _FAR
        return verdict.costs[verdict.over] / self._options.budget.limits[verdict.over]

    def costs(self, candidate: Candidate) -> Mapping[str, float]:
        """What the budget was held to, of a candidate that was let in."""
        verdict = self._verdicts[tuple(candidate.words)]
        return {} if isinstance(verdict, ConfigError) else verdict.costs

    def nothing(self, rejected: Mapping[str, int]) -> ConfigError:
        """Why there is no candidate at all.

        Args:
            rejected: How many there were, by what kept them.
        """
        space, limits = self._options.space, self._options.budget.limits
        exceeded = [name for name in limits if name in rejected]
        if UNFIT in rejected:  # these keep the budget
            errors = [verdict for verdict in self._verdicts.values() if isinstance(verdict, ConfigError)]
            problems = list(dict.fromkeys(problem for error in errors for problem in error.problems))
            return ConfigError(f"No candidate of space={space} can be trained here:", *problems[:_TOLD])
        known = [verdict for verdict in self._verdicts.values() if isinstance(verdict, Verdict)]
        least = {name: min(each.costs[name] for each in known if each.over == name) for name in exceeded}
        asked = " ".join(f"budget.{name}={limits[name]}" for name in exceeded)
        told = " and ".join(f"{shown(name, cost)} {UNITS[name]}" for name, cost in least.items())
        tried = sum(rejected.values())
        return ConfigError(
            f"{asked} is not allowed: none of {tried} candidates of space={space} keeps it; the "
            f"least they had was {told}."
        )

    def _judged(self, candidate: Candidate, key: Key) -> Verdict:
        network = self.network(candidate)
        data, hparams = self._trainer.seen(network), self._config.student_hparams
        costs = Costs(network, data.input_shape, data.class_count, self._device, hparams)
        verdict = judge(costs, self._options.budget.limits, lambda measure: self._timed(key, measure))
        if verdict.over is None:
            self._trainer.epochs(network)
        return verdict
