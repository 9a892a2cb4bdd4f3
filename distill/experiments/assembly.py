"""All that is needed to train one network of a plan: network, data, method and teacher, on the device."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import nn

from distill.config.schema import Config
from distill.data import Augmentation, Batches, Dataset, Split, limit
from distill.data.memory import place
from distill.experiments.display import Display
from distill.experiments.plan import Node
from distill.experiments.store import Artifact
from distill.methods import Method, methods
from distill.models import count, weights
from distill.models import create as create_network
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
        outputs: For a taught network that was trained now: how its teacher was asked, `cached` or `live`.
    """

    node: Node
    artifact: Artifact
    reused: bool
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
        self._data = data
        self._device = device
        self._display = display
        self._world = world
        self._splits: dict[tuple[int, int | None], Split] = {}
        self._test = self._here(data.test, "test examples")
        self._val = self._here(data.val, "validation examples") if data.val is not None else None

    def _training(self, node: Node, network: nn.Module, parents: list[Obtained], hooked: ExitStack) -> Training:
        """All that is needed to train a network; hooks are set in it until `hooked` ends."""
        seed = self._seed(node)
        method = self._method(node)
        batches = self._learned(node, node.hparams.batch_size, seed, strong=method.strong)
        teacher: TeacherOutputs = nobody
        if parents:
            tapped = hooked.enter_context(self._teacher(parents[0], method))
            network, student = self._pupil(node, network, method, tapped)
            hooked.enter_context(student)
            live = self._live(tapped, parents[0])
            torch.manual_seed(stream_seed(seed, "adapters"))
            with live.precision.autocast():
                self._introduce(method, student, tapped, batches)
            network.train()
            teacher = self._asked(live, method, batches)
        else:
            student = hooked.enter_context(self._tapped(network, method, self._taps(network, node, method)))
        return Training(
            role=node.role,
            network=network,
            method=method.to(self._device),
            student=student,
            teacher=teacher,
            batches=batches,
            val=self._held_out(),
            test=self._tests(),
            hparams=node.hparams,
            seed=seed,
            precision=self._precision(node, network),
            minutes=self._config.checkpoint.minutes,
            world=self._world,
        )

    def _method(self, node: Node) -> Method:
        method = methods.find(node.method.name).factory(node.method)
        method.label_smoothing = node.hparams.label_smoothing
        return method

    def _teacher(self, parent: Obtained, method: Method) -> Tapped:
        network = self._network(parent.node)
        weights.load_into(network, parent.artifact.weights, f"{parent.node.role} in the store")
        return self._tapped(network.eval(), method, self._taps(network, parent.node, method))

    @torch.no_grad()
    def _introduce(self, method: Method, student: Tapped, teacher: Tapped, batches: Batches) -> None:
        """Lets a method meet both networks as they are: two examples are not worth compiling for."""
        with Tapped(student.network, student.taps) as pupil, Tapped(teacher.network, teacher.taps) as taught:
            method.build(pupil, taught, self._example(batches), batches.split.labels)

    def _live(self, teacher: Tapped, parent: Obtained) -> Live:
        return Live(teacher, self._precision(parent.node, teacher.network))

    def _pupil(self, node: Node, network: nn.Module, method: Method, teacher: Tapped) -> tuple[nn.Module, Tapped]:
        """The network that is trained, in evaluation mode: the student, or what its method makes of it."""
        # Looking at networks must leave no trace: in training mode it would move the statistics of batch norm.
        network.eval()
        taps = self._taps(network, node, method)
        torch.manual_seed(stream_seed(self._seed(node), "redesign"))
        with torch.no_grad():
            example = self._example(self._batches(self._examples(node), 2, 0))
            network, taps = method.redesign(network, taps, teacher.network, teacher.taps, example)
        network = arrange(network.to(self._device), self._data.input_shape, self._device).eval()
        return network, self._tapped(network, method, taps)

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
            inputs = next(self._batches(self._examples(node), 2, 0).in_order(2)).inputs
            taps = with_preactivations(network.eval(), taps, inputs)
            network.train(training)
        return taps

    def _asked(self, live: Live, method: Method, batches: Batches) -> TeacherOutputs:
        """The teacher's outputs, kept where that is exact."""
        if cacheable(method, batches, self._data.class_count):
            return Cached(live, batches, EVALUATION_BATCH)
        return live

    def _network(self, node: Node) -> nn.Module:
        """The network before training, on the device: baseline and student of one seed start the same."""
        torch.manual_seed(stream_seed(self._seed(node), "init"))
        network = create_network(node.model, self._data.input_shape, self._data.class_count)
        if node.model.checkpoint is not None:
            weights.load_into(network, node.model.checkpoint, f"{options_of(node)}.checkpoint")
        return arrange(network.to(self._device), self._data.input_shape, self._device)

    def _tapped(self, network: nn.Module, method: Method, taps: Taps) -> Tapped:
        call = torch.compile(network) if self._config.run.compile else None
        return Tapped(network, taps.only(method.taps), call)

    def _seed(self, node: Node) -> int:
        return stream_seed(node.model.seed, options_of(node))

    def _examples(self, node: Node) -> Split:
        split = self._data.train if node.examples == "train" else self._data.transfer
        key = (id(split), node.hparams.limit_examples)  # where nothing is left out, both are one split
        if key not in self._splits:
            if key[1] is not None:
                split = limit(split, key[1], self._config.dataset.seed)
            self._splits[key] = self._here(split)
        return self._splits[key]

    def _here(self, split: Split, name: str = "training examples") -> Split:
        """The split on the device when it leaves room there for networks, else where it is."""
        placed, remark = place(split, self._device, name)
        if remark:
            self._display.say(remark, "dim")
        return placed

    def _tests(self) -> Batches:
        return self._batches(self._test, EVALUATION_BATCH, 0)

    def _held_out(self) -> Batches | None:
        return None if self._val is None else self._batches(self._val, EVALUATION_BATCH, 0)

    def _learned(self, node: Node, size: int, seed: int, *, strong: bool = False) -> Batches:
        """What a network learns from."""
        augment = self._data.augment if node.examples == "train" else self._data.transfer_augment
        return self._batches(self._examples(node), size, seed, augment, strong)

    def _batches(
        self, split: Split, size: int, seed: int, augment: Augmentation = STILL, strong: bool = False
    ) -> Batches:
        shard = self._world.shard
        return Batches(split, size, self._data.normalization, augment, seed, self._device, shard, strong)

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
        return count.flops(network, self._data.input_shape, self._device) * node.hparams.batch_size


def outputs_of(training: Training) -> str | None:
    """How the teacher of a training is asked: `cached` or `live`; `None` without a teacher."""
    if training.teacher is nobody:
        return None
    if not isinstance(training.teacher, Cached):
        return "live"
    return "cached" if training.teacher.views == 1 else f"cached in {training.teacher.views} views"


def options_of(node: Node) -> str:
    """Under which key its options stand: baseline and student are one network, taught in two ways."""
    return "teacher" if node.role == "teacher" else "student"
