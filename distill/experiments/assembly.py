"""All that is needed to train one network of a plan: network, data, method and teacher, on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import nn

from distill.config.schema import Config
from distill.data import Augmentation, Batches, Dataset, Split, limit
from distill.data.memory import place
from distill.data.variants import variant
from distill.experiments.display import Display
from distill.experiments.plan import Node
from distill.experiments.store import Artifact
from distill.methods import Method, methods
from distill.methods.hard_labels import hard_labels
from distill.methods.nodes import WHOLE
from distill.models import count, weights
from distill.models import create as create_network
from distill.models.ensemble import Ensemble
from distill.models.taps import NOTHING, Tapped, Taps, resolve, with_preactivations
from distill.seeds import stream_seed
from distill.training import precision
from distill.training.layout import arrange
from distill.training.precision import Precision
from distill.training.task import Training
from distill.training.teacher_outputs import Cached, Live, TeacherOutputs, cacheable, nobody
from distill.training.world import World
from distill.types import Batch

# Feature maps of more pictures leave the caches of a CPU, which then takes two to three times as long.
EVALUATION_BATCH = 250
STILL = Augmentation()


@dataclass(frozen=True)
class Obtained:
    """A network of a run.

    Attributes:
        node: Its place in the plan.
        artifact: Where it lies, and what is known of it.
        reused: Whether it was there already.
        parents: What it was made of, as its node names them; nobody knows those of a network of another run.
        outputs: For a taught network that was trained now: how its teacher was asked, `cached` or `live`.
    """

    node: Node
    artifact: Artifact
    reused: bool
    parents: tuple[Obtained, ...] = ()
    outputs: str | None = None


class Assembly:
    """Puts together the trainings of one run.

    Args:
        config: The run.
        data: Loaded.
        device: Where to compute.
        display: Is told what happens.
        world: The processes that run this together.
    """

    def __init__(self, config: Config, data: Dataset, device: torch.device, display: Display, world: World):
        self._config = config
        self._variants = {WHOLE: data}
        self._device = device
        self._display = display
        self._world = world
        self._splits: dict[tuple[int, int | None], tuple[Split, Split]] = {}
        self._tests(WHOLE)  # what leaves no room on the device is said at once
        self._held_out(WHOLE)

    def _seen(self, node: Node) -> Dataset:
        """The data set as the network sees it."""
        return self._variant(node.data)

    def variants(self, nodes: Sequence[Node]) -> dict[str, Dataset]:
        """The variants of the data set that networks see, by name, beside the whole of it."""
        return {node.data: self._seen(node) for node in nodes if node.data != WHOLE}

    def _variant(self, name: str) -> Dataset:
        if name not in self._variants:
            self._variants[name] = variant(self._variants[WHOLE], self._config.dataset, name)
        return self._variants[name]

    def _training(self, node: Node, network: nn.Module, parents: Sequence[Obtained], hooked: ExitStack) -> Training:
        """All that is needed to train a network; hooks are set in it until `hooked` ends."""
        seed = self._seed(node)
        method = self._method(node)
        tapped = hooked.enter_context(self._teacher(parents[0], method)) if parents else None
        if tapped is not None or meets(method):
            network, student = self._pupil(node, network, method, tapped)
        else:
            student = self._tapped(node, network, method, self._taps(network, node, method))
        hooked.enter_context(student)
        live = self._live(tapped, parents[0]) if tapped is not None else None
        if live is not None:
            method.inherit(live.through, [self._stored(other).eval() for other in parents[1:]])
        batches = self._learned(node, node.hparams.batch_size, seed, method, live)
        if self._seen(node).targets is None:
            classes = self._seen(node).class_count
            method.hard_labels = hard_labels(node.hparams.hard_loss, batches.split.labels.to(self._device), classes)
        if tapped is not None or meets(method):
            torch.manual_seed(stream_seed(seed, "adapters"))
            with (live.precision if live else self._precision(node, network)).autocast():
                self._introduce(method, student, tapped or student, batches)
        network.train()
        teacher: TeacherOutputs = nobody if live is None else self._asked(live, method, batches)
        return Training(
            role=node.role,
            network=network,
            method=method.to(self._device),
            student=student,
            teacher=teacher,
            batches=batches,
            val=self._held_out(node.data) if method.tested else None,
            test=self._tests(node.data) if method.tested else None,
            hparams=node.hparams,
            seed=seed,
            precision=self._precision(node, network),
            minutes=self._config.checkpoint.minutes,
            world=self._world,
            targets=self._seen(node).targets,
            tasks=self._seen(node).tasks,
        )

    def _method(self, node: Node) -> Method:
        method = methods.find(node.method.name).factory(node.method)
        method.label_smoothing = node.hparams.label_smoothing
        method.tasks = self._seen(node).tasks
        return method

    def _teacher(self, parent: Obtained, method: Method) -> Tapped:
        network = self._stored(parent)
        return self._tapped(parent.node, network.eval(), method, self._taps(network, parent.node, method))

    def _stored(self, one: Obtained) -> nn.Module:
        """A network as the store has it, on the device."""
        parents = {parent.node.role: parent for parent in one.parents}
        network = self._form(one.node, lambda role: (parents[role].node, self._stored(parents[role])))
        weights.load_into(network, one.artifact.weights, f"{one.node.role} in the store")
        return network

    def _form(self, node: Node, parent: Callable[[str], tuple[Node, nn.Module]]) -> nn.Module:
        """A network as it is trained and kept: the one that was asked for, or what its method makes of it.

        Args:
            node: Which one.
            parent: Gives a parent by its role.
        """
        network, method = self._network(node), self._method(node)
        if not node.trains or not method.redesigns():
            return network
        with ExitStack() as hooked:
            tapped = None
            if node.parents:
                other, teacher = parent(node.parents[0])
                tapped = self._tapped(other, teacher.eval(), method, self._taps(teacher, other, method))
                hooked.enter_context(tapped)
            network, student = self._pupil(node, network, method, tapped)
            student.close()  # hooks would count in its latency
        blank = torch.zeros(2, *self._seen(node).input_shape, device=self._device)
        return method.finish(network, lambda most: blank)

    @torch.no_grad()
    def _introduce(self, method: Method, student: Tapped, teacher: Tapped, batches: Batches) -> None:
        """Lets a method meet both networks as they are: two examples are not worth compiling for."""
        with student.uncompiled() as pupil, teacher.uncompiled() as taught:
            method.build(pupil, taught, self._example(batches), batches.split.labels)

    def _live(self, teacher: Tapped, parent: Obtained) -> Live:
        return Live(teacher, self._precision(parent.node, teacher.network))

    def _pupil(
        self, node: Node, network: nn.Module, method: Method, teacher: Tapped | None
    ) -> tuple[nn.Module, Tapped]:
        """The network that is trained, in evaluation mode: the student, or what its method makes of it."""
        # Looking at networks must leave no trace: in training mode it would move the statistics of batch norm.
        network.eval()
        taps = self._taps(network, node, method)
        torch.manual_seed(stream_seed(self._seed(node), "redesign"))
        with torch.no_grad():
            example = self._example(self._batches(node, self._examples(node), 2, 0))
            told = (None, NOTHING) if teacher is None else (teacher.network, teacher.taps)
            network, taps = method.redesign(network, taps, *told, example)
        network = arrange(network.to(self._device), self._seen(node).input_shape, self._device).eval()
        return network, self._tapped(node, network, method, taps)

    def _example(self, batches: Batches) -> Batch:
        """Two examples for dry runs."""
        example = next(batches.in_order(min(2, len(batches.split))))
        return replace(example, strong=example.inputs) if batches.strong else example

    def _taps(self, network: nn.Module, node: Node, method: Method) -> Taps:
        if not method.taps:
            return NOTHING
        taps = resolve(network, node.model)
        if "preactivations" in method.taps and not taps.preactivations:
            training = network.training
            inputs = next(self._batches(node, self._examples(node), 2, 0).in_order(2)).inputs
            taps = with_preactivations(network.eval(), taps, inputs)
            network.train(training)
        return taps

    def _asked(self, live: Live, method: Method, batches: Batches) -> TeacherOutputs:
        """The teacher's outputs, kept where that is exact."""
        if cacheable(method, batches, self._variants[WHOLE].class_count * (1 + live.heads)):
            return Cached(live, batches, EVALUATION_BATCH)
        return live

    def _network(self, node: Node) -> nn.Module:
        """The network before training, on the device: baseline and student of one seed start the same."""
        data = self._seen(node)
        networks = []
        for model in node.members or (node.model,):
            torch.manual_seed(stream_seed(stream_seed(model.seed, node.mount), "init"))
            networks.append(create_network(model, data.input_shape, data.class_count))
            if model.checkpoint is not None:
                weights.load_into(networks[-1], model.checkpoint, f"{node.mount}.checkpoint")
        network = Ensemble(networks, node.mean) if node.members else networks[0]
        return arrange(network.to(self._device), data.input_shape, self._device)

    def _tapped(self, node: Node, network: nn.Module, method: Method, taps: Taps) -> Tapped:
        call = torch.compile(network) if self._config.run.compile else None
        return Tapped(network, taps.only(method.taps), call, whole=node.data == WHOLE)

    def _seed(self, node: Node) -> int:
        return stream_seed(node.model.seed, node.mount)

    def _examples(self, node: Node) -> Split:
        data = self._seen(node)
        split = data.train if node.examples == "train" else data.transfer
        most = node.hparams.limit_examples
        return self._placed(split, "training examples", most)

    def _placed(self, split: Split, name: str, most: int | None = None) -> Split:
        """The split on the device, of no more examples; where nothing is left out, equal ones are one."""
        key = (id(split), most)
        if key not in self._splits:
            some = split if most is None else limit(split, most, self._config.dataset.seed)
            self._splits[key] = (split, self._here(some, name))  # who is kept keeps its id
        return self._splits[key][1]

    def _here(self, split: Split, name: str) -> Split:
        """The split on the device when it leaves room there for networks, else where it is."""
        placed, remark = place(split, self._device, name)
        if remark:
            self._display.say(remark, "dim")
        return placed

    def _tests(self, name: str) -> Batches:
        """The test examples of a variant of the data set."""
        return self._measured_on(name, self._variant(name).test, "test examples")

    def _held_out(self, name: str) -> Batches | None:
        val = self._variant(name).val
        return None if val is None else self._measured_on(name, val, "validation examples")

    def _measured_on(self, name: str, split: Split, called: str) -> Batches:
        return Batches(
            self._placed(split, called),
            EVALUATION_BATCH,
            self._variant(name).normalization,
            STILL,
            0,
            self._device,
            self._world.shard,
        )

    def _learned(
        self, node: Node, size: int, seed: int, method: Method | None = None, teacher: Live | None = None
    ) -> Batches:
        """What a network learns from: what it may see, or what its method makes of that with the teacher's help."""
        data = self._seen(node)
        augment = data.augment if node.examples == "train" else data.transfer_augment
        split = self._examples(node)
        if method is None:
            return self._batches(node, split, size, seed, augment)
        if teacher is not None:
            still = self._batches(node, split, EVALUATION_BATCH, 0)
            split = method.examples(split, lambda: torch.cat([teacher(batch).logits for batch in still.in_order()]))
        return self._batches(node, split, size, seed, augment, method.strong)

    def _batches(
        self, node: Node, split: Split, size: int, seed: int, augment: Augmentation = STILL, strong: bool = False
    ) -> Batches:
        shard, by_class = self._world.shard, node.hparams.sampler == "balanced"
        data = self._seen(node)
        return Batches(split, size, data.normalization, augment, seed, self._device, shard, strong, by_class, data.view)

    def _requested_precision(self, node: Node) -> str:
        """What `auto` may become here; a network trained in another precision is another network."""
        name = node.hparams.precision
        native = precision.native_bf16(self._device)
        asked = f"auto, {'bf16' if native else 'fp32'} on {self._device.type}" if name == "auto" else name
        # On a CPU bits are equal anyway; elsewhere those that were made without the promise do not keep it.
        return f"{asked}, deterministic" if self._config.run.deterministic and self._device.type != "cpu" else asked

    def _precision(self, node: Node, network: nn.Module) -> Precision:
        return precision.resolve(node.hparams.precision, self._device, self._work(node, network))

    def _work(self, node: Node, network: nn.Module) -> int:
        """FLOPs of one forward pass of one training batch."""
        return count.flops(network, self._seen(node).input_shape, self._device) * node.hparams.batch_size


def outputs_of(training: Training) -> str | None:
    """How the teacher of a training is asked: `cached` or `live`; `None` without a teacher."""
    if training.teacher is nobody:
        return None
    if not isinstance(training.teacher, Cached):
        return "live"
    return "cached" if training.teacher.views == 1 else f"cached in {training.teacher.views} views"


def meets(method: Method) -> bool:
    """Whether a method looks at the networks before they are trained, as it may find them unfit."""
    return any(getattr(type(method), name) is not getattr(Method, name) for name in ("adapt", "build", "redesign"))
