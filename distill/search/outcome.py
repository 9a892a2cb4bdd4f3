"""What a search found: its candidates with what each cost and reached, the front, the winner, and how to go on."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distill.results.columns import shown
from distill.search.rungs import front
from distill.search.space import Candidate
from distill.search.trainer import Reached

# How a limit is spelled, and what stands behind the number in a sentence.
UNITS = {"params": "parameters", "flops": "FLOPs", "latency_ms": "ms of latency"}
COLUMNS = (
    *("strategy", "trial", "candidate", "overrides", "epochs", "stopped", "val_accuracy", "on_front", "test_accuracy"),
    *("params", "flops", "latency_ms", "seconds", "reused", "signature"),
)
_SEEDS = 3


@dataclass
class Trial:
    """One candidate of one strategy.

    Attributes:
        strategy: That proposed it.
        number: From 1 on.
        candidate: The network.
        compared: The cost that candidates are compared by.
        epochs: Of its last training.
        val_accuracy: That it reached there.
        accuracy: Likewise on test.
        costs: `params`, `flops` and `latency_ms`.
        seconds: Of all its trainings.
        signature: Of its last training, in the store.
        reused: Whether that one was there already.
        stopped: Whether others went on and it did not.
    """

    strategy: str
    number: int
    candidate: Candidate
    compared: str
    epochs: int = 0
    val_accuracy: float = math.nan
    accuracy: float = math.nan
    costs: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    signature: str = ""
    reused: bool = False
    stopped: bool = False

    def record(self, reached: Reached, epochs: int, held: Mapping[str, float]) -> None:
        """Takes over what a training found.

        Args:
            reached: That.
            epochs: Of the training.
            held: Costs that the budget was held to, where times are measured anew.
        """
        self.epochs = epochs
        self.val_accuracy, self.accuracy = reached.val_accuracy, reached.accuracy
        self.costs = {"params": reached.params, "flops": reached.flops, "latency_ms": reached.latency_ms, **held}
        self.seconds += reached.seconds
        self.signature, self.reused = reached.signature, reached.reused

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.candidate.label()

    @property
    def words(self) -> list[str]:
        """What chooses it on the command line of `distill train`."""
        return self.candidate.words

    @property
    def cost(self) -> float:
        """What is to be low."""
        return self.costs[self.compared]

    @property
    def reached(self) -> float:
        """What is to be high."""
        return self.val_accuracy


@dataclass
class Searched:
    """What one strategy did.

    Attributes:
        name: Of the strategy.
        trials: Its candidates.
        rejected: Distinct candidates that were not trained, by the limit they exceed, or `unfit`.
        epochs: That all its trainings have together; what came from the store counts.
    """

    name: str
    trials: list[Trial] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    epochs: int = 0

    @property
    def best(self) -> Trial:
        """The most accurate of those that were trained in full; of equals the cheapest."""
        full = max(trial.epochs for trial in self.trials)
        return _best([trial for trial in self.trials if trial.epochs == full])

    @property
    def seconds(self) -> float:
        """Of all its trainings, whenever they were made."""
        return sum(trial.seconds for trial in self.trials)

    def rows(self) -> list[dict[str, Any]]:
        """A row per candidate, without what only the end of the search tells."""
        return [
            {
                "strategy": trial.strategy,
                "trial": trial.number,
                "candidate": trial.label,
                "overrides": shlex.join(trial.words),
                "epochs": trial.epochs,
                "stopped": trial.stopped,
                "val_accuracy": trial.val_accuracy,
                "seconds": trial.seconds,
                "reused": trial.reused,
                "signature": trial.signature,
                **trial.costs,
            }
            for trial in self.trials
        ]


@dataclass(frozen=True)
class Outcome:
    """A whole search.

    Attributes:
        space: Its name.
        limits: The budget, by name.
        compared: The cost that candidates are compared by.
        rungs: Epochs of each.
        val_examples: That accuracies are shares of.
        searches: One per strategy.
        words: Of the run whose student was searched for.
        seed: Of that run.
    """

    space: str
    limits: Mapping[str, float]
    compared: str
    rungs: Sequence[int]
    val_examples: int
    searches: Sequence[Searched]
    words: Sequence[str]
    seed: int

    @property
    def finalists(self) -> list[Trial]:
        """Candidates that were trained in full, each network once."""
        full = (trial for searched in self.searches for trial in searched.trials if trial.epochs == self.rungs[-1])
        return list({tuple(trial.words): trial for trial in reversed(list(full))}.values())[::-1]

    @property
    def front(self) -> list[Trial]:
        """Of the finalists those that no other beats in cost and validation accuracy, the cheapest first."""
        finalists = self.finalists
        return [finalists[place] for place in front(finalists)]

    @property
    def winner(self) -> Trial:
        """The most accurate finalist on validation examples; of equals the cheapest."""
        return _best(self.finalists)

    def found_by(self, trial: Trial) -> str:
        """The strategies that trained this network in full, such as `random, tpe`."""
        return ", ".join(
            searched.name
            for searched in self.searches
            if any(one.words == trial.words and one.epochs == trial.epochs for one in searched.trials)
        )

    @property
    def command(self) -> str:
        """Trains the winner in full beside its baseline, with seeds that had no part in the choice."""
        rest = [word for word in self.words if not word.startswith("seed=")]
        seeds = f"seed={','.join(str(self.seed + more) for more in range(1, _SEEDS + 1))}"
        return shlex.join(["distill", "train", "-m", *rest, *self.winner.words, seeds])

    def rows(self) -> list[dict[str, Any]]:
        """A row per candidate and strategy, with `COLUMNS`; test accuracies of the front alone."""
        on_front = {trial.signature: trial.accuracy for trial in self.front}
        rows = [row for searched in self.searches for row in searched.rows()]
        return [
            {**row, "on_front": row["signature"] in on_front, "test_accuracy": on_front.get(row["signature"])}
            for row in rows
        ]

    def facts(self) -> dict[str, Any]:
        """What `search.json` says of it."""
        return {
            "budget": dict(self.limits),
            "rungs": list(self.rungs),
            "val_examples": self.val_examples,
            "strategies": {
                one.name: {
                    "trained": len(one.trials),
                    "rejected": one.rejected,
                    "epochs": one.epochs,
                    "seconds": one.seconds,
                    "best": shlex.join(one.best.words),
                    "val_accuracy": one.best.val_accuracy,
                }
                for one in self.searches
            },
            "front": [shlex.join(trial.words) for trial in self.front],
            "winner": {
                "overrides": shlex.join(self.winner.words),
                "val_accuracy": self.winner.val_accuracy,
                "test_accuracy": self.winner.accuracy,
                **self.winner.costs,
            },
            "next": self.command,
        }

    def sentences(self) -> list[str]:
        """What was found, and how far it can be relied on."""
        best = self.winner
        asked = " and ".join(f"budget.{name}={limit}" for name, limit in self.limits.items())
        said = [
            f"{best.label} did best of space={self.space}{' within ' + asked if asked else ''}: {_percent(best)} on "
            f"validation examples, by which it was chosen, and {100 * best.accuracy:.2f} % on test, with "
            f"{shown('params', best.costs['params'])} parameters."
        ]
        if len(self.searches) > 1:
            said.append(self._control())
        return said

    def _control(self) -> str:
        """TPE against the random control."""
        ours, control = ({s.name: s for s in self.searches}[name] for name in ("tpe", "random"))
        ahead = 100 * (ours.best.val_accuracy - control.best.val_accuracy)
        error = 100 * math.sqrt(control.best.val_accuracy * (1 - control.best.val_accuracy) / self.val_examples)
        verdict = "the same network" if ours.best.words == control.best.words else f"{ahead:+.2f} points"
        cost = f"{ours.epochs:,} epochs each, {ours.seconds:.1f} s against {control.seconds:.1f} s of training"
        return (
            f"TPE's best has {_percent(ours.best)}, the best at random {_percent(control.best)}, at the same cost "
            f"({cost}): {verdict}, where the sampling error of {self.val_examples:,} validation examples is "
            f"± {error:.2f}. One search of each does not tell which strategy is better: repeat both with other seeds."
        )


def _best(trials: Sequence[Trial]) -> Trial:
    return max(trials, key=lambda trial: (trial.val_accuracy, -trial.cost))


def _percent(trial: Trial) -> str:
    return f"{100 * trial.val_accuracy:.2f} %"
