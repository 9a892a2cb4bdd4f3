"""A search from start to end: candidates within the budget, rung after rung, once per strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from distill.config.schema import Config
from distill.errors import ConfigError
from distill.experiments.named import named
from distill.results.columns import shown
from distill.search.gate import UNFIT, Gate
from distill.search.options import SearchOptions
from distill.search.outcome import UNITS, Outcome, Searched, Trial
from distill.search.rungs import epochs_of, survivors
from distill.search.space import Space
from distill.search.strategies import RandomStrategy, Strategy, TpeStrategy
from distill.search.trainer import Diverged, Trainer

# Proposals in a row that are not trained, before the search takes it that there are no more; those that took time.
_MOST_MISSES, _MOST_COSTLY = 500, 30
_SEEN, _DIVERGED = "seen", "diverged"
_COSTLY = ("latency_ms", UNFIT, _DIVERGED)
_DRAWS = 20


@dataclass
class _Progress:
    """What the search for candidates has met since the last one that was trained."""

    seen: set[tuple[str, ...]] = field(default_factory=set)
    misses: int = 0
    costly: int = 0

    @property
    def exhausted(self) -> bool:
        return self.misses >= _MOST_MISSES or self.costly >= _MOST_COSTLY

    def miss(self, reason: str) -> None:
        self.misses += 1
        self.costly += reason in _COSTLY

    def hit(self) -> None:
        self.misses = self.costly = 0


class Search:
    """Looks for students.

    Args:
        options: What is asked for.
        space: What to choose from.
        config: The run whose student is searched for.
        trainer: Of that run.
        gate: Of that run.
        say: Is told a line about each step.
        begin: Is called before the first training.
        trained: Is called after every training with all that was found so far.
    """

    def __init__(
        self,
        options: SearchOptions,
        space: Space,
        config: Config,
        trainer: Trainer,
        gate: Gate,
        say: Callable[[str], None],
        begin: Callable[[], None],
        trained: Callable[[Sequence[Searched]], None],
    ):
        self._options = options
        self._space = space
        self._config = config
        self._trainer = trainer
        self._gate = gate
        self._say = say
        self._begin = begin
        self._trained = trained
        self._rungs: list[int] = []
        self._failure: Diverged | None = None

    def run(self, words: Sequence[str], val_examples: int) -> Outcome:
        """Searches with every strategy.

        Args:
            words: Of the run, for the command that trains the winner.
            val_examples: That candidates are compared on.

        Raises:
            ConfigError: No candidate keeps the budget, or none can be trained; nothing was trained then.
            Diverged: All that were to be trained in full failed.
            Interrupted: Somebody asked to stop; the same search goes on where it was.
        """
        searches: list[Searched] = []
        for name in self._options.strategies:
            searches.append(Searched(name))
            self._first_rung(searches, self._strategy(name))
            self._halve(searches)
        return Outcome(
            space=self._options.space,
            limits=self._options.budget.limits,
            compared=self._options.budget.cost,
            rungs=self._rungs,
            val_examples=val_examples,
            searches=searches,
            words=words,
            seed=self._config.run.seed,
        )

    def _strategy(self, name: str) -> Strategy:
        seed = self._config.run.seed
        if name == "random":
            return RandomStrategy(self._space, seed)
        return TpeStrategy(self._space, seed, self._options.trials)

    def _first_rung(self, searches: Sequence[Searched], strategy: Strategy) -> None:
        """Finds as many candidates as were asked for, and trains each for a while."""
        searched, progress = searches[-1], _Progress()
        while len(searched.trials) < self._options.trials and not progress.exhausted:
            proposal = strategy.propose()
            key = tuple(proposal.candidate.words)
            reason = _SEEN if key in progress.seen else self._gate.against(proposal.candidate)
            trial = Trial(searched.name, len(searched.trials) + 1, proposal.candidate, self._options.budget.cost)
            if reason is None:
                self._settle(trial)
                reason = None if self._train(searched, trial, self._rungs[0]) else _DIVERGED
            progress.seen.add(key)
            if reason is None:
                proposal.told(trial.val_accuracy)
                progress.hit()
                searched.trials.append(trial)
                self._trained(searches)
                continue
            proposal.told(None if reason == _SEEN else -self._gate.distance(proposal.candidate))
            progress.miss(reason)
            if reason != _SEEN:
                searched.rejected[reason] = searched.rejected.get(reason, 0) + 1
        if not searched.trials:
            if self._failure is not None:
                raise Diverged(f"No candidate of space={self._options.space} could be trained: {self._failure}")
            raise self._gate.nothing(searched.rejected)
        if progress.exhausted:
            self._say(
                f"{searched.name}: after {len(searched.trials)} candidates no other was found that can be trained."
            )

    def _halve(self, searches: Sequence[Searched]) -> None:
        """Trains the best ones for longer, until the last rung is reached."""
        searched = searches[-1]
        going = list(searched.trials)
        for epochs in self._rungs[1:]:
            kept = [going[place] for place in survivors(going, self._options.halving)]
            for trial in going:
                trial.stopped = trial not in kept
            self._say(f"{searched.name}: {len(kept)} of {len(going)} go on, to {epochs} epochs")
            going = [trial for trial in kept if self._train(searched, trial, epochs)]
            for trial in kept:
                trial.stopped = trial not in going
            self._trained(searches)
        if not going:
            raise Diverged(f"None of the candidates of {searched.name} could be trained in full; a lower lr may help.")

    def _settle(self, trial: Trial) -> None:
        """Before the first training: how long a whole one is, which is the same for every candidate."""
        if not self._rungs:
            full = self._trainer.epochs(self._gate.network(trial.candidate))
            self._rungs = epochs_of(full, self._options.halving, self._config.student_hparams.warmup_epochs)
            self._begin()
            unit = "epoch" if self._rungs[0] == 1 else "epochs"
            longer = (f"one in {self._options.halving} of these for {epochs}" for epochs in self._rungs[1:])
            self._say(
                f"Candidates train for {', '.join([f'{self._rungs[0]} {unit}', *longer])}; they are compared on "
                f"validation examples, dataset.val_fraction={self._config.dataset.val_fraction:g} of the training ones."
            )

    def _train(self, searched: Searched, trial: Trial, epochs: int) -> bool:
        """Trains a candidate; whether that came to its end."""
        searched.epochs += epochs
        trials = self._options.trials
        name = f"{searched.name:6} {trial.number:{len(str(trials))}}/{trials}"
        try:
            reached = self._trainer.train(self._gate.network(trial.candidate), epochs)
        except Diverged as error:
            self._failure = error
            self._say(f"{name}  {trial.label}  {error}")
            return False
        trial.record(reached, epochs, self._gate.costs(trial.candidate))
        how = "from the store" if reached.reused else f"{reached.seconds:.1f} s"
        cost = f"{shown(trial.compared, trial.cost)} {UNITS[trial.compared]}"
        length = f"{epochs:{len(str(self._rungs[-1]))}} epoch{'s' if epochs > 1 else ' '}"
        self._say(f"{name}  {length}  val {reached.val_accuracy:7.2%}  {trial.label}  {cost}  {how}")
        return True


def check(space: Space, seed: int) -> None:
    """Finds mistakes of a space before anything trains, by drawing from each of its families.

    Args:
        space: What to draw from.
        seed: Of what is drawn.

    Raises:
        ConfigError: A sentence for each value that no network of that family takes.
    """
    problems = list(dict.fromkeys(_problems(space, seed)))
    if problems:
        raise ConfigError(*problems)


def _problems(space: Space, seed: int) -> Iterator[str]:
    for family in space.families:
        for candidate in RandomStrategy(space, seed).several(family, _DRAWS):
            try:
                named(f"space={space.name}: {family}", candidate.values, 0)
            except ConfigError as error:
                yield from error.problems
