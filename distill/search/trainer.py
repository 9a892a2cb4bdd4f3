"""Trains candidates as the students of ordinary runs: through the store, with the teacher trained once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from distill.config.model_options import ModelOptions
from distill.config.schema import Config
from distill.data import Dataset
from distill.data.variants import variant
from distill.errors import ConfigError, TrainingError
from distill.experiments.assembly import Obtained
from distill.experiments.display import Display
from distill.experiments.obtain import Workshop
from distill.experiments.plan import Node, plan
from distill.experiments.store import Store
from distill.methods import methods
from distill.methods.nodes import WHOLE
from distill.training.interrupt import Stop

_STUDENT = "student"


class Diverged(TrainingError):
    """A candidate whose training could not go on, which says nothing against the others."""


@dataclass(frozen=True)
class Reached:
    """What became of a training.

    Attributes:
        val_accuracy: Share of the validation examples classified right, by which candidates are compared.
        accuracy: Likewise of the test examples, which has no part in that.
        params: Of the network.
        flops: Of a forward pass of one example.
        latency_ms: Median of a forward pass of one example, milliseconds.
        seconds: That its training took, whenever that was.
        signature: Its name in the store.
        reused: Whether it was there already.
    """

    val_accuracy: float
    accuracy: float
    params: int
    flops: int
    latency_ms: float
    seconds: float
    signature: str
    reused: bool


class Trainer:
    """Obtains networks for one search.

    Args:
        config: The run whose student is searched for.
        data: Loaded, with validation examples.
        device: Where to compute.
        display: Is told of networks that are trained beside candidates, such as the teacher.
        stop: Whether somebody asked to stop.

    Raises:
        ConfigError: The data are none for a search.
    """

    def __init__(self, config: Config, data: Dataset, device: torch.device, display: Display, stop: Stop):
        if data.targets is not None:
            raise ConfigError(
                f"dataset={config.dataset.name} is not allowed: candidates are compared by accuracy, which a "
                "regression has none of."
            )
        self._config = config
        self._data = data
        self._device = device
        self._display = display
        self._stop = stop
        self._store = Store(Path(config.store.dir))
        self._began = time.time()
        self._told: set[str] = set()

    def seen(self, options: ModelOptions) -> Dataset:
        """The data as a candidate sees them."""
        name = _needed(plan(self._with(options)))[-1].data
        return self._data if name == WHOLE else variant(self._data, self._config.dataset, name)

    def epochs(self, options: ModelOptions) -> int:
        """The epochs of a whole training.

        Raises:
            ConfigError: The candidate cannot be trained with this data, method and hparams.
        """
        _, nodes = self._prepared(self._with(options))
        subject = nodes[-1]
        if subject.kind == "trained" and methods.find(subject.method.name).factory(subject.method).redesigns():
            raise ConfigError(
                f"method={subject.method.name} is not allowed: it makes another network of the student, whose costs a "
                "budget does not know of."
            )
        return next(node for node in reversed(nodes) if node.trains).hparams.epoch_count

    def train(self, options: ModelOptions, epochs: int) -> Reached:
        """A candidate, trained for so many epochs unless it is in the store.

        Raises:
            Diverged: Its training could not go on.
            Interrupted: Somebody asked to stop; the same call goes on.
        """
        workshop, nodes = self._prepared(self._with(options, epochs))
        obtained: dict[str, Obtained] = {}
        with self._display.plan([node.role for node in nodes]):
            for node in nodes:
                needs = [obtained[role] for role in node.needs]
                if node is nodes[-1]:
                    obtained[node.role] = _surely(workshop, node, needs)
                else:
                    obtained[node.role] = workshop.obtain(node, needs)
                    self._tell(obtained[node.role])
                self._stop.check()
        one = obtained[nodes[-1].role]
        record = one.artifact.record
        known = {name: record.measures[name] for name in ("val_accuracy", "accuracy", "params", "flops", "latency_ms")}
        return Reached(**known, seconds=record.seconds, signature=record.signature, reused=one.reused)

    def _with(self, options: ModelOptions, epochs: int | None = None) -> Config:
        hparams = self._config.student_hparams
        return replace(
            self._config,
            student=options,
            student_hparams=hparams if epochs is None else replace(hparams, epochs=epochs),
        )

    def _prepared(self, config: Config) -> tuple[Workshop, list[Node]]:
        workshop = Workshop(config, self._data, self._device, self._store, self._display, self._stop, self._began)
        return workshop, workshop.prepare(_needed(plan(config)))

    def _tell(self, one: Obtained) -> None:
        record = one.artifact.record
        if record.signature not in self._told:
            self._told.add(record.signature)
            how = "from the store" if one.reused else f"trained in {record.seconds:.1f} s"
            self._display.network(one.node.role, f"{record.model}  test {record.measures['accuracy']:.2%}  {how}")


def _surely(workshop: Workshop, node: Node, needs: Sequence[Obtained]) -> Obtained:
    try:
        return workshop.obtain(node, needs)
    except TrainingError as error:
        raise Diverged(str(error)) from error


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """The student, after what it needs; without those that a run only compares it with."""
    subject = next((node for node in nodes if node.role == _STUDENT), nodes[-1])
    by_role = {node.role: node for node in nodes}
    wanted = {subject.role}
    for node in reversed(nodes):
        if node.role in wanted:
            wanted.update(by_role[role].role for role in node.needs)
    return [*(node for node in nodes if node.role in wanted and node is not subject), subject]
