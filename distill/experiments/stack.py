"""Trains what the jobs of a sweep need before they run: networks that differ in numbers alone as one training."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from distill.config.schema import Config
from distill.data import Augmentation, Batches, Split
from distill.data.labelled import UNLABELLED
from distill.data.memory import SHARE, free_bytes
from distill.errors import DistillError, TrainingError
from distill.experiments.assembly import STILL, Obtained, outputs_of
from distill.experiments.display import Display
from distill.experiments.obtain import Made, Workshop
from distill.experiments.plan import Node, plan
from distill.experiments.run import loaded
from distill.experiments.store import Artifact, Store
from distill.experiments.wanted import Wanted, count, differences, divide
from distill.files import write_text
from distill.methods import Method, methods
from distill.models.taps import Tapped
from distill.training import device as devices
from distill.training import stackable, stacked
from distill.training.device import deterministic, out_of_memory, threads_for
from distill.training.interrupt import Stop, polite
from distill.training.layout import keep_memory
from distill.training.task import Trained, Training
from distill.training.teacher_outputs import Live, TeacherOutputs

_MEMBERS, _STATE = "members.json", "checkpoint.pt"


def train(configs: Sequence[Config], display: Display, began: float) -> dict[str, Made]:
    """Trains what is not in the store and can be stacked, and what that needs.

    What goes wrong is left to the jobs to meet again, or kept for them to tell.

    Args:
        configs: One per job.
        display: Is told what happens.
        began: When the command began, seconds since 1970.

    Returns:
        What became of the networks that were trained, by signature.

    Raises:
        Interrupted: A signal asked to stop; checkpoints are written.
    """
    keep_memory()
    made: dict[str, Made] = {}
    stop = Stop()
    remaining = list(configs)
    with polite(stop):
        while remaining:
            common = _common(remaining[0])
            alike = [config for config in remaining if _common(config) == common]
            remaining = [config for config in remaining if _common(config) != common]
            try:
                bench = Bench(alike[0], display, stop, began, made)
            except DistillError:
                continue
            with deterministic(alike[0].run.deterministic):
                bench.train(alike)
    return made


def _common(config: Config) -> tuple[Any, ...]:
    """What jobs share whose networks can be trained side by side."""
    return config.dataset, config.store, config.checkpoint, replace(config.run, seed=0)


class Bench(Workshop):
    """Obtains the networks of several jobs at once.

    Args:
        config: One of the jobs.
        display: Is told what happens.
        stop: Whether somebody asked to stop.
        began: When the command began, seconds since 1970.
        made: Is filled with what became of the networks.
    """

    def __init__(self, config: Config, display: Display, stop: Stop, began: float, made: dict[str, Made]):
        device = devices.resolve(config.run.device)
        devices.occupy(device)
        super().__init__(config, loaded(config.dataset), device, Store(Path(config.store.dir)), display, stop, began)
        self._results = made
        self._artifacts: dict[str, Artifact] = {}
        self._streams: dict[tuple[Any, ...], Batches] = {}
        self._teachers: dict[str, Tapped] = {}
        self._lives: dict[int, tuple[Tapped, Live]] = {}
        self._flops: dict[str, int] = {}
        self._answers: dict[tuple[int, int], TeacherOutputs] = {}

    def train(self, configs: Sequence[Config]) -> None:
        """Trains level by level: those without a teacher, then those that they teach, and so on."""
        wanted: dict[str, Wanted] = {}
        for config in configs:
            try:
                self._add(wanted, config)
            except DistillError:  # its job will say it
                continue
        everything = list(wanted.values())
        self._clear(wanted)
        for depth in range(1 + max((each.depth for each in everything), default=0)):
            level = [each for each in everything if each.depth == depth and self._trainable(each)]
            # Where a teacher is missing, the job that meets the reason says it.
            ready = [each for each in level if all(self._kept(parent) for parent in each.parents)]
            self._train_level(ready, everything)

    def _add(self, wanted: dict[str, Wanted], config: Config) -> None:
        own: dict[str, Wanted] = {}
        for node in self.prepare(plan(config), config.method.name):
            if node.kind != "trained" or node.members or not own.keys() >= set(node.needs):
                continue  # its job makes it
            parents = tuple(own[role] for role in node.needs)
            made_of, identity = self._identify(node, [(parent.node, parent.identity) for parent in parents])
            own[node.role] = wanted.setdefault(identity, Wanted(node, parents, made_of, identity))

    def _trainable(self, wanted: Wanted) -> bool:
        failed = any(
            parent.identity in self._results and self._results[parent.identity].failure for parent in wanted.parents
        )
        return not failed and self._kept(wanted) is None

    def _kept(self, wanted: Wanted) -> Artifact | None:
        """The network as the store has it; its checksums are computed once."""
        if wanted.identity not in self._artifacts:
            artifact = self._store.look(wanted.node.kept_as, wanted.identity)
            if artifact is None or self._too_old(artifact):
                return None
            self._artifacts[wanted.identity] = artifact
        return self._artifacts[wanted.identity]

    def _train_level(self, missing: list[Wanted], everything: list[Wanted]) -> None:
        alone: list[Wanted] = []
        groups = self._groups(missing)
        self._tell_of_singles([group[0] for group in groups if len(group) == 1])
        for group in groups:
            try:
                done = self._train_group(group, everything)
            except (DistillError, OSError) as error:
                self._say(f"{count(group)} one by one: {error}")
                done = set()
            alone += [each for each in group if each.identity not in done]
        for each in alone:
            taught = [other for other in everything if each in other.parents]
            if any(self._trainable(other) for other in taught):
                self._train_alone(each)

    def _train_group(self, group: list[Wanted], everything: list[Wanted]) -> set[str]:
        """Trains networks that may be stacked; returns the signatures of those that were."""
        reason = self._obstacle(group)
        if reason and len(group) > 1:
            self._say(f"{count(group)} one by one: {reason}")
        stacks = [] if reason else self._stacks(group, everything)
        return {each.identity for stack in stacks if self._train_stack(stack) for each in stack}

    def _tell_of_singles(self, singles: list[Wanted]) -> None:
        for role, number in Counter(each.node.role for each in singles).items():
            if number > 1:
                self._say(f"{number} {role}s one by one: no two of them differ in numbers alone")

    def _groups(self, missing: list[Wanted]) -> list[list[Wanted]]:
        groups: dict[str, list[Wanted]] = {}
        for wanted in missing:
            groups.setdefault(self._kind(wanted.node), []).append(wanted)
        return list(groups.values())

    def _kind(self, node: Node) -> str:
        """What networks have in common that can be one training; their teachers may differ."""
        model = {key: value for key, value in vars(node.model).items() if key != "seed"}
        method = methods.find(node.method.name).factory(node.method)
        seed = node.model.seed if stackable.drops(self._network(node)) else None
        parts = [
            node.examples,
            node.data,
            bool(node.start),
            model,
            stackable.method_kind(method),
            stackable.kind(node.hparams),
            seed,
        ]
        return json.dumps(parts, sort_keys=True, default=str)

    def _obstacle(self, group: list[Wanted]) -> str | None:
        node = group[0].node
        if node.data == UNLABELLED:
            return "some of their examples have no label"
        if node.start is not None:
            return "they begin with the weights of others"
        if not node.model.train:
            return "they are taken as they are"
        if self._config.dataset.regression:
            return "their targets are numbers"
        if self._config.run.compile:
            return "compile=true makes the code of one network"
        method = methods.find(node.method.name).factory(node.method)
        network = self._network(node)
        return stackable.obstacle(network, method, node.hparams, self._device, self._work(node, network))

    def _stacks(self, group: list[Wanted], everything: list[Wanted]) -> list[list[Wanted]]:
        """Divides networks into trainings; what an earlier command began is ended as it was begun."""
        stacks = self._begun(group, everything)
        taken = {each.identity for stack in stacks for each in stack}
        fresh = [each for each in group if each.identity not in taken]
        if len(fresh) > 1:
            with ExitStack() as hooked:
                some = [*fresh[:2], *fresh[2:][-1:]]
                tried = stackable.trial([self._assembled(each, hooked) for each in some])
            at_once = int(free_bytes(self._device) * SHARE / tried.bytes)
            reason = tried.reason or ("memory is for one at a time" if at_once < 2 else None)
            if reason:
                self._say(f"{count(fresh)} one by one: {reason}")
            else:
                parts = divide(fresh, at_once)
                if len(parts) > 1:
                    self._say(f"{count(fresh)} in {len(parts)} parts: memory is for {at_once} at a time")
                for part in parts:  # all of them before the first is trained, so that a later command does the same
                    write_text(self._folder(part) / _MEMBERS, json.dumps([each.name for each in part]))
                stacks += parts
        return stacks

    def _begun(self, group: list[Wanted], everything: list[Wanted]) -> list[list[Wanted]]:
        known = {each.name: each for each in everything}
        needed = {each.name for each in group}
        stacks: list[list[Wanted]] = []
        for path in sorted(self._store.root.glob(f"{stacked.NAME}-*.partial/{_MEMBERS}")):
            names = _names(path)
            if needed.intersection(names) and known.keys() >= set(names):
                stacks.append([known[name] for name in names])
                needed -= set(names)
        return stacks

    def _clear(self, wanted: dict[str, Wanted]) -> None:
        """Removes what is left of stacks that ended, by a command that was killed right then."""
        known = {each.name: each for each in wanted.values()}
        for path in self._store.root.glob(f"{stacked.NAME}-*.partial/{_MEMBERS}"):
            members = [known.get(name) for name in _names(path)]
            if not any(each is None or self._trainable(each) for each in members):
                shutil.rmtree(path.parent, ignore_errors=True)

    def _train_stack(self, stack: list[Wanted]) -> bool:
        """Trains networks as one; false when memory is too small for that."""
        self._say(f"{count(stack)} as one training ({differences(stack)})")
        with ExitStack() as held:
            for each in sorted(stack, key=lambda each: each.name):
                held.enter_context(self._store.lock(each.node.kept_as, each.identity, self._wait))
            missing = [each for each in stack if self._trainable(each)]
            if missing:
                held.enter_context(self._display.plan([stacked.NAME]))
                self._display.begin(stacked.NAME, len(stack))
                results: Sequence[Trained | TrainingError] = ()
                with ExitStack() as hooked:  # hooks would count in the latency that is measured below
                    trainings = [self._assembled(each, hooked) for each in stack]
                    hooked.enter_context(threads_for(self._work(stack[0].node, trainings[0].network) * len(stack)))
                    try:
                        results = stacked.fit(trainings, self._folder(stack) / _STATE, self._display, self._stop)
                    except RuntimeError as error:
                        if not out_of_memory(error):
                            raise
                        self._say(f"{count(stack)} one by one: together they do not fit into memory")
                        shutil.rmtree(self._folder(stack), ignore_errors=True)
                        return False
                for each, training, result in zip(stack, trainings, results, strict=True):
                    if each not in missing:
                        continue
                    if isinstance(result, TrainingError):
                        self._results[each.identity] = Made(None, result)
                        continue
                    self._keep(each.node, result, training.method, each.made_of, each.identity, len(stack))
                    self._results[each.identity] = Made(outputs_of(training))
            shutil.rmtree(self._folder(stack), ignore_errors=True)
        return True

    def _train_alone(self, wanted: Wanted) -> None:
        """Trains a teacher that students wait for; its job finds it in the store."""
        try:
            with self._display.plan([wanted.node.role]):
                obtained = self.obtain(wanted.node, self._parents(wanted))
        except TrainingError as error:
            self._results[wanted.identity] = Made(None, error)
        except DistillError:  # its job will meet it again
            return
        else:
            if not obtained.reused:
                self._results[wanted.identity] = Made(None)

    def _assembled(self, wanted: Wanted, hooked: ExitStack) -> Training:
        return self._training(wanted.node, self._network(wanted.node), self._parents(wanted), hooked)

    def _parents(self, wanted: Wanted) -> tuple[Obtained, ...]:
        parents = []
        for parent in wanted.parents:
            artifact = self._kept(parent)
            assert artifact is not None, "teachers come first"
            parents.append(Obtained(parent.node, artifact, True, self._parents(parent)))
        return tuple(parents)

    def _work(self, node: Node, network: nn.Module) -> int:
        key = json.dumps([vars(replace(node.model, seed=0)), node.hparams.batch_size], default=str)
        if key not in self._flops:
            self._flops[key] = super()._work(node, network)
        return self._flops[key]

    def _batches(
        self, node: Node, split: Split, size: int, seed: int, augment: Augmentation = STILL, strong: bool = False
    ) -> Batches:
        key = (node.data, node.hparams.sampler, id(split), size, seed, augment, strong)
        if key not in self._streams:
            self._streams[key] = super()._batches(node, split, size, seed, augment, strong)
        return self._streams[key]

    def _teacher(self, parent: Obtained, method: Method) -> Tapped:
        if method.taps:  # its hooks end with the training that they are set for
            return super()._teacher(parent, method)
        key = parent.artifact.record.signature
        if key not in self._teachers:
            self._teachers[key] = super()._teacher(parent, method)
        return self._teachers[key]

    def _live(self, teacher: Tapped, parent: Obtained) -> Live:
        if id(teacher) not in self._lives:
            self._lives[id(teacher)] = (teacher, super()._live(teacher, parent))
        return self._lives[id(teacher)][1]

    def _asked(self, live: Live, method: Method, batches: Batches) -> TeacherOutputs:
        key = (id(live), id(batches))
        if key not in self._answers:
            self._answers[key] = super()._asked(live, method, batches)
        return self._answers[key]

    def _folder(self, stack: Sequence[Wanted]) -> Path:
        digest = hashlib.sha256(json.dumps([each.name for each in stack]).encode()).hexdigest()[:16]
        return self._store.checkpoint(stacked.NAME, digest).parent

    def _wait(self) -> None:
        self._display.waiting(stacked.NAME)
        self._stop.check()

    def _say(self, text: str) -> None:
        self._display.say(f"{stacked.NAME:9} {text}")


def _names(path: Path) -> list[str]:
    """The members of a stack; none where another process has just removed it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
