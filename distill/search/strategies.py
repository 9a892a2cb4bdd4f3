"""How candidates are proposed: at random, or by what those before them reached."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from distill.errors import ConfigError
from distill.search.space import Candidate, Space, nearest

# TPE needs something to go by first: so many candidates at random, at most half of all.
_STARTUP = 10
_MISSES = 50  # proposals in a row that could not be trained, before one is drawn at random


@dataclass
class Proposal:
    """A candidate, with what its strategy has to know of it.

    Attributes:
        candidate: The network.
        choices: The choices that it came of, by name.
        told: Is to be called with the accuracy that it reached, or with something below 0 where it cannot be trained,
            the less the further it is from that; with `None` where it was proposed before.
    """

    candidate: Candidate
    choices: dict[str, int]
    told: Callable[[float | None], None] = lambda reached: None


class Strategy(Protocol):
    """Proposes candidates, again and again."""

    def propose(self) -> Proposal:
        """The next one; it may be one that was proposed before."""
        ...


@dataclass
class _Drawn:
    """Makes choices at random; the same ones from the same seed, in every version of Python."""

    source: random.Random
    choices: dict[str, int] = field(default_factory=dict)

    def one_of(self, name: str, count: int) -> int:
        self.choices[name] = int(self.source.random() * count)
        return self.choices[name]

    def whole(self, name: str, low: int, high: int, step: int | None) -> int:
        self.choices[name] = nearest(self.source.random(), low, high, step)
        return self.choices[name]


class RandomStrategy:
    """Draws every choice anew; the control of all others.

    Args:
        space: What to draw from.
        seed: The same one proposes the same candidates.
    """

    def __init__(self, space: Space, seed: int):
        self._space = space
        self._source = random.Random(f"search {seed}")

    def propose(self) -> Proposal:
        """A candidate, whatever was reached so far."""
        drawn = _Drawn(self._source)
        return Proposal(self._space.candidate(drawn), drawn.choices)

    def several(self, family: str, count: int) -> list[Candidate]:
        """Some candidates of one family."""
        return [self._space.candidate(_Drawn(self._source), family) for _ in range(count)]


class TpeStrategy:
    """The tree-structured Parzen estimator (Bergstra et al. 2011) as optuna has it.

    Its first candidates are those of `RandomStrategy` with the same seed, so that a search by either begins with the
    same ones: what they differ by comes of what TPE makes of these.

    Args:
        space: What to choose from.
        seed: The same one proposes the same candidates, once it is told the same accuracies.
        trials: How many candidates are to be trained.

    Raises:
        ConfigError: optuna is not installed.
    """

    def __init__(self, space: Space, seed: int, trials: int):
        optuna = _optuna()
        self._space = space
        self._first, self._anew = RandomStrategy(space, seed), RandomStrategy(space, seed + 1)
        self._startup = min(_STARTUP, max(1, trials // 2))
        self._trained = self._missed = 0
        self._failed = optuna.trial.TrialState.FAIL
        sampler = optuna.samplers.TPESampler(n_startup_trials=self._startup, seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def propose(self) -> Proposal:
        """A candidate that may be better than those before it."""
        with _quietly():
            if self._trained < self._startup:
                self._study.enqueue_trial(self._first.propose().choices)
            elif self._missed >= _MISSES:
                self._study.enqueue_trial(self._anew.propose().choices)
            trial = self._study.ask()
            candidate = self._space.candidate(_Asked(trial))

        def told(reached: float | None) -> None:
            with _quietly():
                self._tell(trial, reached)

        return Proposal(candidate, dict(trial.params), told)

    def _tell(self, trial: Any, reached: float | None) -> None:
        trained = reached is not None and reached >= 0
        self._trained += trained
        self._missed = 0 if trained else self._missed + 1
        if reached is None:
            self._study.tell(trial, state=self._failed)
        else:
            # Also of those over the budget, or most proposals would be: the best candidates are near it.
            self._study.tell(trial, reached)


@dataclass
class _Asked:
    trial: Any

    def one_of(self, name: str, count: int) -> int:
        return self.trial.suggest_categorical(name, list(range(count)))

    def whole(self, name: str, low: int, high: int, step: int | None) -> int:
        if step is None:
            return self.trial.suggest_int(name, low, high, log=True)
        return self.trial.suggest_int(name, low, high - (high - low) % step, step=step)


def require(strategies: Sequence[str], given: str) -> None:
    """Finds before anything trains what a strategy lacks.

    Args:
        strategies: By name.
        given: As the user asked for them.

    Raises:
        ConfigError: optuna is needed and not installed.
    """
    if "tpe" in strategies:
        _optuna(given)


@contextmanager
def _quietly() -> Iterator[None]:
    """The release that Hydra's sweeper needs warns of what it stands on, and of what newer ones keep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _optuna(given: str = "tpe") -> Any:
    try:
        with _quietly():
            import optuna
    except ImportError as error:
        raise ConfigError(
            f"strategy={given} needs an extra: pip install 'distill[optuna]'; strategy=random works without it."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
