"""A run that is over, opened again: its networks with their weights, its data, and how inputs are prepared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from distill.config.compose import Registries, check
from distill.config.dataset_options import DatasetOptions
from distill.config.model_options import ModelOptions
from distill.config.schema import Config
from distill.data import Dataset, datasets, load
from distill.data.normalization import Normalization
from distill.data.targets import Targets
from distill.data.variants import variant
from distill.errors import ConfigError, DistillError
from distill.experiments.plan import Node, plan
from distill.methods import methods
from distill.methods.nodes import WHOLE
from distill.models import create, models, weights
from distill.models.ensemble import Ensemble
from distill.models.taps import NOTHING, resolve
from distill.results import records
from distill.results.find import RECORD, find_run
from distill.tracking import trackers
from distill.types import Batch

_CONFIG, _WEIGHTS = "config.resolved.yaml", "checkpoints"
REGISTRIES = Registries(models, datasets, methods, trackers)


@dataclass(frozen=True)
class Saved:
    """A run that left its weights.

    Attributes:
        folder: Of the run.
        facts: Its `run.json`.
        config: What was asked for.
        nodes: Its networks by role, those that left weights.
        asked: The role whose file was named; `None` where the folder was.
        seen: The variant of the data set that is meant: classes, inputs and data are those of a network that sees it.
    """

    folder: Path
    facts: dict[str, Any]
    config: Config
    nodes: dict[str, Node]
    asked: str | None = None
    seen: str = WHOLE

    def seen_by(self, role: str) -> Saved:
        """The run as one of its networks sees it, whose inputs may be others than those of the whole data set."""
        return replace(self, seen=self.nodes[role].data)

    @property
    def _about(self) -> dict[str, Any]:
        about = self.facts["dataset"]
        return {**about, **about.get("variants", {}).get(self.seen, {})}

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class; none of a regression."""
        return tuple(self._about["classes"])

    @property
    def targets(self) -> Targets | None:
        """What a regression is about."""
        found = self.facts["dataset"].get("targets")
        return None if found is None else Targets.from_facts(found)

    @property
    def outputs(self) -> int:
        """How many numbers its networks answer."""
        return len(self.classes) if self.targets is None else len(self.targets.names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: `(channels, height, width)` for pictures."""
        return tuple(self._about["input_shape"])

    @property
    def maximum(self) -> float | None:
        """The value of white in raw pictures; `None` for inputs that are no uint8 pictures."""
        return self.facts["dataset"]["maximum"]

    @property
    def normalization(self) -> Normalization:
        """From raw inputs to what its networks take."""
        found = self._about["normalization"]
        return Normalization(torch.tensor(found["offset"]), torch.tensor(found["scale"]))

    def weights(self, role: str) -> Path:
        """The file of a network's weights."""
        return self.folder / _WEIGHTS / f"{role}.safetensors"

    def role(self, wanted: str | None = None) -> str:
        """The network that is meant: the one asked for, else the one whose file was named, else the student.

        Raises:
            DistillError: The run has no such network.
        """
        if wanted is None:
            roles = [node.role for node in plan(self.config)]
            wanted = self.asked or ("student" if "student" in roles else roles[-1])
        if wanted not in self.nodes:
            status = self.facts.get("status")
            so_far = "" if status == "finished" else " has not finished and"
            raise DistillError(f"--role {wanted} is not allowed: {self.folder}{so_far} has {', '.join(self.nodes)}.")
        return wanted

    def network(self, role: str, device: torch.device | str = "cpu") -> nn.Module:
        """A network of the run with its weights, in evaluation mode; no data are read for it.

        Args:
            role: One of `nodes`.
            device: Where to.

        Raises:
            DistillError: Its weights are missing or damaged, or its code is gone or has changed.
        """
        with self._at_home():
            network = self._form(self.nodes[role])
        weights.load_into(network, self.weights(role), str(self.weights(role)))
        return network.eval().to(device)

    def _form(self, node: Node) -> nn.Module:
        """A network as it was trained and kept, without its weights."""
        run = self.seen_by(node.role)
        networks = [run._fresh(model) for model in node.members or (node.model,)]
        network = Ensemble(networks, node.mean) if node.members else networks[0]
        method = methods.find(node.method.name).factory(node.method)
        if not node.trains or not method.redesigns():
            return network
        teacher, taught = None, NOTHING
        if node.parents:
            parent = self.nodes[node.parents[0]]
            teacher = self._form(parent).eval()
            taught = resolve(teacher, parent.model)
        example = Batch(torch.zeros(2, *run.input_shape), torch.zeros(2).long(), torch.arange(2))
        with torch.no_grad():
            network, _ = method.redesign(network, resolve(network.eval(), node.model), teacher, taught, example)
        return method.finish(network, lambda most: example.inputs)

    def data(self, options: DatasetOptions | None = None) -> Dataset:
        """The run's own data, loaded as it loaded them.

        Args:
            options: In place of its own; their paths are meant from where the run was begun.

        Raises:
            DistillError: They are not there any more, or, without `options`, they have changed.
        """
        options, own = options or self.config.dataset, options is None
        with self._at_home():
            data = load(options)
        if own and not self.learned_from(data):
            raise DistillError(
                f"The data set {data.name} is not the one that {self.folder} learned from: its fingerprint is another."
            )
        return data if self.seen == WHOLE else variant(data, options, self.seen)

    def learned_from(self, data: Dataset) -> bool:
        """Whether a data set is the one that its networks learned from, by its fingerprint."""
        return data.fingerprint == self.facts["dataset"]["fingerprint"]

    def resolved(self) -> DictConfig:
        """The whole config of the run, every reference followed, as Hydra composed it."""
        return OmegaConf.create((self.folder / _CONFIG).read_text(encoding="utf-8"))  # type: ignore

    def _fresh(self, options: ModelOptions) -> nn.Module:
        return untrained(options, self.input_shape, self.outputs)

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Paths of the config are meant from where the command was given."""
        home, here = Path(self.facts["directory"]), Path.cwd()
        if home.is_dir():
            os.chdir(home)
        try:
            yield
        finally:
            os.chdir(here)


def untrained(options: ModelOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A network that is about to get its weights from a file.

    Args:
        options: What it began with is of no interest any more, and published weights would be downloaded.
        input_shape: Shape of one example.
        classes: Number of classes.
    """
    plain: dict[str, Any] = {"checkpoint": None}
    if "weights" in {field.name for field in fields(options)}:
        plain["weights"] = None
    return create(replace(options, **plain), input_shape, classes)


def open_run(path: Path) -> Saved:
    """Opens a run by its folder, or by a file in it, such as `checkpoints/student.safetensors`.

    Args:
        path: As the user gave it.

    Raises:
        DistillError: There is no such run, it left no weights, or another version wrote it.
    """
    folder = find_run(path)
    if path.suffix in (".safetensors", *weights.PICKLES) and path.absolute().parent.name != _WEIGHTS:
        raise DistillError(
            f"{path} is not what the run {folder} left of a network: give {folder / _WEIGHTS / 'ROLE.safetensors'}."
        )
    facts = records.read(folder)
    try:
        config = check(OmegaConf.create((folder / _CONFIG).read_text(encoding="utf-8")), REGISTRIES)  # type: ignore
        facts["dataset"]["normalization"]
    except ConfigError as error:
        raise DistillError(f"{folder} cannot be opened: {' '.join(error.problems)}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DistillError(
            f"{folder} cannot be opened: {_CONFIG} and {RECORD} do not say what its networks are, as those of a run "
            "that never began or of an older version do not."
        ) from error
    found = {str(node.role): node for node in plan(config)}
    nodes = {role: node for role, node in found.items() if (folder / _WEIGHTS / f"{role}.safetensors").is_file()}
    if not nodes:
        raise DistillError(f"{folder} left no weights: its status is {facts.get('status')}.")
    asked = path.stem if path.suffix == ".safetensors" else None
    return Saved(folder, facts, config, nodes, asked)
