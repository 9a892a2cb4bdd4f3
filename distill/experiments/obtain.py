"""One network of a plan: taken from the store, or trained, measured and put there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distill.config.schema import Config
from distill.data import Dataset, check_batch_size
from distill.errors import ConfigError, TrainingError
from distill.experiments.asking import Asking
from distill.experiments.assembly import Obtained, options_of, outputs_of
from distill.experiments.display import Display
from distill.experiments.plan import Node, plan
from distill.experiments.signature import ingredients, signature
from distill.experiments.store import Artifact, Record, Store
from distill.methods import Method, create
from distill.models import count, weights
from distill.models.taps import resolve
from distill.training.class_prior import unseen
from distill.training.device import is_described, out_of_memory, threads_for
from distill.training.fit import fit
from distill.training.interrupt import Stop
from distill.training.measure import VERSION, Measured, measure
from distill.training.task import Trained
from distill.training.world import ALONE, World

# What is known of a network since it was trained, and no later look at it tells.
_OF_TRAINING = ("epochs", "epoch", "memory_mb", "energy_wh")


@dataclass(frozen=True)
class Made:
    """What became of a network that was trained before the run that needs it.

    Attributes:
        outputs: For a taught one: how its teacher was asked.
        failure: Why it is not in the store, if it is not.
    """

    outputs: str | None
    failure: TrainingError | None = None


class Workshop(Asking):
    """Obtains the networks of one run, one after the other.

    Args:
        config: The run.
        data: Loaded.
        device: Where to compute.
        store: Where networks are kept.
        display: Is told what happens.
        stop: Whether somebody asked to stop.
        began: When the command began, seconds since 1970; `store.reuse=false` trains anew what is older.
        made: Networks by signature that this command has trained already, in stacks; each is told of once.
        world: The processes that run this together.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        device: torch.device,
        store: Store,
        display: Display,
        stop: Stop,
        began: float,
        made: dict[str, Made] | None = None,
        world: World = ALONE,
    ):
        super().__init__(config, data, device, display, world)
        self._store = store
        self._stop = stop
        self._began = began
        self._made = {} if made is None else made
        self._outputs: str | None = None

    def prepare(self, nodes: list[Node]) -> list[Node]:
        """Finds mistakes that show only with the data at hand, before anything trains.

        Args:
            nodes: The plan.

        Returns:
            The plan with every number of epochs settled.

        Raises:
            ConfigError: A batch is larger than the data, or a network cannot take the inputs.
            CheckpointError: Initial weights are missing or do not fit.
        """
        prepared: list[Node] = []
        problems: list[str] = []
        for node in nodes:
            try:
                prepared.append(self._prepared(node))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*dict.fromkeys(problems))
        by_role = {node.role: node for node in prepared}
        for node in prepared:
            if node.model.train:
                self._rehearse(node, [by_role[role] for role in node.parents])
        return prepared

    def _rehearse(self, node: Node, parents: list[Node]) -> None:
        """Lets a method meet both networks before they are trained, as it may find them unfit."""
        method = self._method(node)
        key, size = f"hparams.{options_of(node)}", node.hparams.batch_size
        batches = self._learned(node, size, 0, strong=method.strong)

        def check() -> None:
            if min(batches.sizes) // self._world.size < method.smallest_batch:
                raise ConfigError(
                    f"{key}.batch_size={size} is not allowed with method={node.method.name}, which looks at the "
                    f"examples of a batch: give at least {method.smallest_batch * self._world.size}."
                )

        check()
        hooks = (Method.adapt, Method.build, Method.redesign)
        if not parents or all(getattr(type(method), hook.__name__) is hook for hook in hooks):
            return
        with ExitStack() as hooked:
            teacher = self._network(parents[0]).eval()
            tapped = hooked.enter_context(self._tapped(teacher, method, self._taps(teacher, parents[0], method)))
            _, student = self._pupil(node, self._network(node), method, tapped)
            hooked.enter_context(student)
            self._introduce(method, student, tapped, batches)
        check()  # its adapters may need more examples than the method itself

    def _prepared(self, node: Node) -> Node:
        network = self._network(node)
        if any(named is not None for named in (node.model.features, node.model.embedding, node.model.preactivations)):
            try:
                resolve(network, node.model)
            except ConfigError as error:
                raise ConfigError(*(f"{options_of(node)}.{problem}" for problem in error.problems)) from error
        if not node.model.train:
            return node
        examples = self._examples(node)
        key = f"hparams.{options_of(node)}"
        check_batch_size(f"{key}.batch_size", node.hparams.batch_size, len(examples), self._world.size)
        hparams = node.hparams.resolved(len(self._batches(examples, node.hparams.batch_size, 0)))
        problems = [f"{key}.{problem}" for problem in hparams.check()]
        if problems:
            raise ConfigError(*problems)
        return replace(node, hparams=hparams)

    def obtain(self, node: Node, parents: list[Obtained]) -> Obtained:
        """The network, trained if it is not in the store.

        Args:
            node: Which one.
            parents: The networks that teach it.
        """
        made_of, identity = self._identify(
            node, [(parent.node, parent.artifact.record.signature) for parent in parents]
        )
        made = self._made.get(identity)
        if made is not None and made.failure is None:
            del self._made[identity]  # other runs that need it reuse it

        def waiting() -> None:
            self._display.waiting(node.role)
            self._stop.check()

        def claim() -> Artifact | None:
            held.enter_context(self._store.lock(node.role, identity, waiting))
            return self._reusable(node, parents, identity)

        with ExitStack() as held:
            artifact = self._world.together(claim)
            if artifact is not None:
                return Obtained(node, artifact, reused=made is None, outputs=made and made.outputs)
            if made is not None and made.failure is not None:
                raise made.failure
            try:
                artifact = self._make(node, parents, made_of, identity)
            except RuntimeError as error:
                raise self._explained(node, error) from error
        return Obtained(node, artifact, reused=False, outputs=self._outputs if parents else None)

    def _identify(self, node: Node, parents: Sequence[tuple[Node, str]]) -> tuple[dict[str, Any], str]:
        """What determines the weights of a network, and its signature."""
        made_of = ingredients(node, self._config.dataset, self._data, self._requested_precision(node), parents)
        return made_of, signature(made_of)

    def _explained(self, node: Node, error: RuntimeError) -> Exception:
        """What torch says of the machine, as a sentence; anything else as it is."""
        run, said = self._config.run, str(error).partition("\n")[0]
        if out_of_memory(error):
            key = f"hparams.{options_of(node)}"
            smaller = "" if node.hparams.accumulate == "auto" else f"{key}.accumulate=auto, "
            return TrainingError(
                f"The {node.role} ({node.model.label()}) does not fit into the memory of {self._device} with "
                f"{key}.batch_size={node.hparams.batch_size} and precision={node.hparams.precision}: {smaller}"
                "a smaller batch or a smaller network may fit."
            )
        if run.compile and type(error).__module__.startswith("torch._"):
            return TrainingError(f"compile=true is not possible here ({said}); use compile=false.")
        if run.deterministic and "deterministic" in said:
            return TrainingError(f"deterministic=true is not possible for the {node.role} ({said}).")
        return error

    def _too_old(self, artifact: Artifact) -> bool:
        """To train anew means once for a command: the jobs of its sweep still share a teacher."""
        return not self._config.store.reuse and artifact.record.created < self._began

    def _reusable(self, node: Node, parents: list[Obtained], identity: str) -> Artifact | None:
        artifact = self._store.find(node.role, identity, self._display.warn)
        if artifact is not None and self._too_old(artifact):
            return None
        if artifact is None:
            return None
        known = artifact.record.measures
        current = known.get("version") == VERSION
        if current and is_described(self._device, known["device"]):
            return artifact
        # Another device gives another latency, and another version knows other measures: train nothing.
        measured = self._measured(node, self._stored(node, parents, artifact))
        trained = {name: known.get(name) for name in _OF_TRAINING}
        if not current and trained["epoch"] is None:
            trained["epoch"] = known["epochs"] or None  # before there was a choice it was the last
        record = replace(
            artifact.record,
            measures={**_recorded(measured), **trained},
            predictions=measured.predictions.tolist(),
        )
        again = Artifact(artifact.folder, record) if current else self._store.amend(artifact, record)
        self._remember(again, node, "test", measured.logits)
        return again

    def _make(self, node: Node, parents: list[Obtained], made_of: dict[str, Any], identity: str) -> Artifact:
        self._display.begin(node.role)
        network = self._network(node)
        checkpoint = self._store.checkpoint(node.role, identity)
        if node.model.train:
            trained, method = self._train(node, network, parents, checkpoint)
        else:
            trained, method = Trained(network.eval(), [], 0.0), create(node.method.name)
        return self._world.together(lambda: self._keep(node, trained, method, made_of, identity))

    def _keep(
        self, node: Node, trained: Trained, method: Method, made_of: dict[str, Any], identity: str, stack: int = 1
    ) -> Artifact:
        measured = self._measured(node, trained.network)
        record = Record(
            role=node.role,
            signature=identity,
            model=node.model.label(),
            dataset=self._data.name,
            method=node.method.name,
            ingredients=made_of,
            history=trained.history,
            measures={
                **_recorded(measured),
                **trained.spent.columns,
                "epochs": len(trained.history),
                "epoch": trained.epoch or None,
            },
            predictions=measured.predictions.tolist(),
            seconds=trained.seconds,
            created=time.time(),
            adapters=count.parameters(method),
            stack=stack,
        )

        def write(path: Path, adapters: Path) -> None:
            weights.save(trained.network.state_dict(), path)
            if method.state_dict():
                weights.save(method.state_dict(), adapters)

        artifact = self._store.put(record, write)
        self._remember(artifact, node, "test", measured.logits)
        if node.examples == "transfer" and any(other.role == "teacher" for other in plan(self._config)):
            self._remember(artifact, node, "transfer", self._asked_now(artifact, trained.network, self._shown(node)))
        return artifact

    def _measured(self, node: Node, network: nn.Module) -> Measured:
        lacks = None
        if node.examples == "transfer":
            lacks = unseen(self._data.transfer.labels, self._data.train.labels, self._data.class_count)
        counts = torch.bincount(self._data.train.labels.cpu(), minlength=self._data.class_count).tolist()
        precision = self._precision(node, network)
        return measure(network, self._tests(), precision, val=self._held_out(), counts=counts, lacks=lacks)

    def _train(
        self, node: Node, network: nn.Module, parents: list[Obtained], checkpoint: Path
    ) -> tuple[Trained, Method]:
        with ExitStack() as hooked:
            training = self._training(node, network, parents, hooked)
            self._outputs = outputs_of(training)
            with threads_for(self._work(node, training.network)):
                return fit(training, checkpoint, self._display, self._stop), training.method


def _recorded(measured: Measured) -> dict[str, Any]:
    return {**measured.columns, **measured.details, "version": VERSION}
