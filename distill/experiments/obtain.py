"""One network of a plan: taken from the store, or trained, measured and put there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from distill.config.schema import Config
from distill.data import Dataset, check_batch_size
from distill.errors import ConfigError, TrainingError
from distill.experiments.assembly import Obtained, meets, outputs_of
from distill.experiments.display import Display
from distill.experiments.generating import Generating
from distill.experiments.plan import Node, plan
from distill.experiments.signature import ingredients, signature
from distill.experiments.store import Artifact, Record, Store
from distill.methods import Method, create, methods
from distill.models import count, weights
from distill.models.ensemble import Ensemble
from distill.models.taps import resolve
from distill.training.class_prior import unseen
from distill.training.device import is_described, out_of_memory, threads_for
from distill.training.fit import fit
from distill.training.interrupt import Stop
from distill.training.measure import FOUND, VERSION, Measured, measure
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


class Workshop(Generating):
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

    def prepare(self, nodes: list[Node], method: str | None = None) -> list[Node]:
        """Finds mistakes that show only with the data at hand, before anything trains.

        Args:
            nodes: The plan.
            method: Whose it is; that of the run by default.

        Returns:
            The plan with every number of epochs settled.

        Raises:
            ConfigError: A batch is larger than the data, or a network cannot take the inputs.
            CheckpointError: Initial weights are missing or do not fit.
        """
        prepared: list[Node] = []
        problems: list[str] = []
        parameters: dict[str, int] = {}
        for node in nodes:
            try:
                network = self._network(node)
                parameters[node.role] = count.parameters(network)
                prepared.append(self._prepared(node, network))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*dict.fromkeys(problems))
        methods.find(method or self._config.method.name).factory.check_sizes(parameters)
        by_role = {node.role: node for node in prepared}
        for node in prepared:
            if node.trains:
                self._rehearse(node, by_role)
        return prepared

    def _rehearse(self, node: Node, by_role: Mapping[str, Node]) -> None:
        """Lets a method meet the networks before they are trained, as it may find them unfit."""
        method = self._method(node)
        if self._world.size > 1 and not method.shared:
            raise ConfigError(
                f"torchrun is not allowed with method={self._config.method.name}, whose {node.role} one process must "
                "train: give the command without it."
            )
        key, size = f"hparams.{node.mount}", node.hparams.batch_size
        batches = self._batches(node, self._examples(node), size, 0, self._seen(node).augment, method.strong)

        def check() -> None:
            if min(batches.sizes) // self._world.size < method.smallest_batch:
                raise ConfigError(
                    f"{key}.batch_size={size} is not allowed with method={node.method.name}, which looks at the "
                    f"examples of a batch: give at least {method.smallest_batch * self._world.size}."
                )

        check()
        if not meets(method):
            return

        def fresh(role: str) -> tuple[Node, nn.Module]:
            return by_role[role], self._form(by_role[role], fresh)

        with ExitStack() as hooked:
            tapped = None
            if node.parents:
                other, teacher = fresh(node.parents[0])
                taps = self._taps(teacher.eval(), other, method)
                tapped = hooked.enter_context(self._tapped(other, teacher, method, taps))
            _, student = self._pupil(node, self._network(node), method, tapped)
            hooked.enter_context(student)
            self._introduce(method, student, tapped or student, batches)
        check()  # its adapters may need more examples than the method itself

    def _prepared(self, node: Node, network: nn.Module) -> Node:
        if any(named is not None for named in (node.model.features, node.model.embedding, node.model.preactivations)):
            try:
                resolve(network, node.model)
            except ConfigError as error:
                raise ConfigError(*(f"{node.mount}.{problem}" for problem in error.problems)) from error
        if not node.trains:
            return node
        examples = self._examples(node)
        key = f"hparams.{node.mount}"
        check_batch_size(f"{key}.batch_size", node.hparams.batch_size, len(examples), self._world.size)
        hparams = node.hparams.resolved(len(self._batches(node, examples, node.hparams.batch_size, 0)))
        problems = [f"{key}.{problem}" for problem in hparams.check()]
        if problems:
            raise ConfigError(*problems)
        return replace(node, hparams=hparams)

    def obtain(self, node: Node, parents: Sequence[Obtained]) -> Obtained:
        """The network, trained if it is not in the store.

        Args:
            node: Which one.
            parents: The networks that it needs, in the order of `node.needs`.
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
            held.enter_context(self._store.lock(node.kept_as, identity, waiting))
            return self._reusable(node, parents, identity)

        with ExitStack() as held:
            artifact = self._world.together(claim)
            if artifact is not None:
                return Obtained(node, artifact, made is None, tuple(parents), made and made.outputs)
            if made is not None and made.failure is not None:
                raise made.failure
            try:
                artifact = self._make(node, parents, made_of, identity)
            except RuntimeError as error:
                raise self._explained(node, error) from error
        asked = self._outputs if parents and node.trains else None
        return Obtained(node, artifact, False, tuple(parents), asked)

    def _identify(self, node: Node, parents: Sequence[tuple[Node, str]]) -> tuple[dict[str, Any], str]:
        """What determines the weights of a network, and its signature."""
        made_of = ingredients(node, self._config.dataset, self._seen(node), self._requested_precision(node), parents)
        return made_of, signature(made_of)

    def _explained(self, node: Node, error: RuntimeError) -> Exception:
        """What torch says of the machine, as a sentence; anything else as it is."""
        run, said = self._config.run, str(error).partition("\n")[0]
        if out_of_memory(error):
            key = f"hparams.{node.mount}"
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

    def _reusable(self, node: Node, parents: Sequence[Obtained], identity: str) -> Artifact | None:
        artifact = self._store.find(node.kept_as, identity, self._display.warn)
        if artifact is not None and self._too_old(artifact):
            return None
        if artifact is None:
            return None
        known = artifact.record.measures
        current = known.get("version") == VERSION
        if current and is_described(self._device, known["device"]):
            return artifact
        # Another device gives another latency, and another version knows other measures: train nothing.
        measured = self._measured(node, self._stored(Obtained(node, artifact, True, tuple(parents))))
        trained = {name: known.get(name) for name in _OF_TRAINING}
        trained |= {name: known[name] for name in FOUND if name in known}
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

    def _make(self, node: Node, parents: Sequence[Obtained], made_of: dict[str, Any], identity: str) -> Artifact:
        self._display.begin(node.role)
        network = self._network(node)
        checkpoint = self._store.checkpoint(node.kept_as, identity)
        method: Method = create("none")
        if node.kind == "part":
            return self._world.together(lambda: self._keep_part(node, network, parents[0], made_of, identity))
        if node.kind == "ensemble":
            for member, parent in zip(cast(Ensemble, network).networks, parents, strict=True):
                member.load_state_dict(self._stored(parent).state_dict())
        elif node.start is not None:
            start = parents[node.needs.index(node.start)]
            weights.load_into(network, start.artifact.weights, f"{node.start} in the store")
        if node.trains:
            trained, method = self._train(node, network, parents, checkpoint)
        else:
            trained = Trained(network.eval(), [], 0.0)
        return self._world.together(lambda: self._keep(node, trained, method, made_of, identity))

    def _keep_part(
        self, node: Node, network: nn.Module, whole: Obtained, made_of: dict[str, Any], identity: str
    ) -> Artifact:
        """Keeps a network that was trained as one with others as a network of its own."""
        network.load_state_dict(self._stored(whole).get_submodule(node.part).state_dict())
        trained = Trained(network.eval(), [], whole.artifact.record.seconds)
        known = whole.artifact.record.measures
        return self._keep(
            node, trained, create("none"), made_of, identity, told={name: known[name] for name in _OF_TRAINING}
        )

    def _keep(
        self,
        node: Node,
        trained: Trained,
        method: Method,
        made_of: dict[str, Any],
        identity: str,
        stack: int = 1,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> Artifact:
        measured = self._measured(node, trained.network)
        record = Record(
            role=node.kept_as,
            signature=identity,
            model=node.label(),
            dataset=self._seen(node).name,
            method=node.method.name,
            ingredients=made_of,
            history=trained.history,
            measures={
                **_recorded(measured),
                **trained.spent.columns,
                "epochs": len(trained.history),
                "epoch": trained.epoch or None,
                **told,
                **method.found,
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
        if self._seen(node).targets is not None:
            return artifact
        taught = node.examples == "transfer" and not self._seen(node).generated
        if taught and any(other.role == "teacher" for other in plan(self._config)):
            self._remember(artifact, node, "transfer", self._asked_now(artifact, trained.network, self._shown(node)))
        return artifact

    def _measured(self, node: Node, network: nn.Module) -> Measured:
        data = self._seen(node)
        precision = self._precision(node, network)
        tests, held_out = self._tests(node.data), self._held_out(node.data)
        if data.targets is not None:
            return measure(network, tests, precision, val=held_out, targets=data.targets)
        if data.tasks:
            return measure(network, tests, precision, val=held_out, tasks=data.tasks)
        lacks = None
        if node.examples == "transfer":
            lacks = unseen(data.transfer.labels, data.train.labels, data.class_count)
        counts = torch.bincount(data.train.labels.cpu(), minlength=data.class_count).tolist()
        return measure(network, tests, precision, val=held_out, counts=counts, lacks=lacks)

    def _train(
        self, node: Node, network: nn.Module, parents: Sequence[Obtained], checkpoint: Path
    ) -> tuple[Trained, Method]:
        with ExitStack() as hooked:
            training = self._training(node, network, parents[: len(node.parents)], hooked)
            self._outputs = outputs_of(training)
            with threads_for(self._work(node, training.network)):
                trained = fit(training, checkpoint, self._display, self._stop)
                network = training.method.finish(trained.network, lambda most: self._inputs(node, most)).eval()
        return replace(trained, network=network), training.method

    def _inputs(self, node: Node, most: int) -> Tensor:
        """`[examples, ...]` inputs of some examples that a network learned from."""
        return torch.cat([batch.inputs for batch in self._shown(node, most=most).in_order()])


def _recorded(measured: Measured) -> dict[str, Any]:
    return {**measured.columns, **measured.details, "version": VERSION}
