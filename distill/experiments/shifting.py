"""Saved networks on shifted test data, as they are and while they adapt: `shift=` and `adapt=` of `distill eval`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from yaml import YAMLError

from distill.config.options import AnyOptions, read
from distill.config.schema import Config
from distill.config.words import did_you_mean
from distill.data import Augmentation, Batches, Dataset, Normalization, Split
from distill.data.shifts import SHIFTS, ShiftOptions, shifted
from distill.errors import ConfigError, DistillError
from distill.experiments.reported import taught
from distill.experiments.saved import Saved, untrained
from distill.methods.nodes import WHOLE
from distill.models import weights
from distill.results.rows import Row
from distill.training import evaluate
from distill.training.adaptation import AdaptOptions, adapted_logits
from distill.training.layout import arrange
from distill.training.precision import Precision
from distill.training.scores import score

_BATCH = 250
_ADAPT = ("none", "test_time")


@dataclass(frozen=True)
class Conditions:
    """Under what networks are measured.

    Attributes:
        shifts: What happens to the test data, one after the other.
        adapt: How networks adapt to it; `None` where they stay as they are.
    """

    shifts: tuple[ShiftOptions, ...]
    adapt: AdaptOptions | None


def conditions(words: Sequence[str]) -> Conditions:
    """What `adapt=...`, `shift=...` and their keys ask for.

    Args:
        words: These alone; `shift` may name several.

    Raises:
        ConfigError: One sentence for each that is not allowed.
    """
    given = dict(word.split("=", 1) for word in words)
    problems = [
        f"{key}={given[key]} is not allowed: without {chosen} it has no effect; add that."
        for key in given
        for group, chosen in (("shift", "shift=noise"), ("adapt", "adapt=test_time"))
        if key.startswith(f"{group}.") and given.get(group, "none") == "none"
    ]
    names = list(dict.fromkeys(given.pop("shift", "none").strip("[]").split(",")))
    adapt = given.pop("adapt", "none")
    problems += _unknown("shift", names, SHIFTS) + _unknown("adapt", [adapt], _ADAPT)
    shift, wrong = _read("shift", ShiftOptions, given)
    adaptation, more = _read("adapt", AdaptOptions, given)
    if problems + wrong + more or shift is None:
        raise ConfigError(*problems, *wrong, *more)
    shifts = tuple(ShiftOptions(name=name, severity=shift.severity, seed=shift.seed) for name in names)  # type: ignore
    return Conditions(shifts, adaptation if adapt != "none" else None)


def _unknown(key: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [
        f"{key}={name} is not allowed{did_you_mean(name, known)}: it must be one of {', '.join(known)}."
        for name in names
        if name not in known
    ]


def _read(group: str, cls: type[AnyOptions], given: dict[str, str]) -> tuple[AnyOptions | None, list[str]]:
    own = {key.partition(".")[2]: value for key, value in given.items() if key.startswith(f"{group}.")}
    keys = [field.name for field in fields(cls) if field.name != "name"]
    unknown = [
        f"There is no key {group}.{key}{did_you_mean(key, keys)}: it must be one of "
        f"{', '.join(f'{group}.{known}' for known in keys)}."
        for key in own
        if key not in keys
    ]
    if unknown:
        return None, unknown
    values: dict[str, Any] = {}
    for key, value in own.items():
        try:
            values[key] = OmegaConf.from_dotlist([f"value={value}"]).value
        except (OmegaConfBaseException, YAMLError):
            return None, [f"{group}.{key}={value} cannot be read: give a plain value."]
    return read(cls, values, lambda path: f"{group}.{'.'.join(map(str, path))}")


class Shifting:
    """One data set under some conditions, in which any number of networks is measured, in fp32.

    Args:
        data: The data set; of it, the test examples are used.
        normalization: From its raw inputs to what the networks take.
        conditions: What happens to it, and whether networks adapt.
        device: Where to compute.

    Raises:
        ConfigError: Targets are no classes, or a shift does not go with such inputs.
    """

    def __init__(self, data: Dataset, normalization: Normalization, conditions: Conditions, device: torch.device):
        if data.targets is not None:
            asked = "adapt=test_time" if conditions.adapt else f"shift={conditions.shifts[0].name}"
            raise ConfigError(f"{asked} is not allowed with real-valued targets: it is about classes; leave it out.")
        self._data = data
        self._normalization = normalization
        self._conditions = conditions
        self._precision = Precision("fp32", device)
        self._tests = [(shift, shifted(data.test, shift, data.maximum)) for shift in conditions.shifts]

    def of_run(self, run: Saved, roles: Sequence[str]) -> list[Row]:
        """Measures networks of a run on clean data, then under each shift as they are, then as they adapt.

        Args:
            run: The run.
            roles: Which of its networks.

        Returns:
            For each network a row for each of these, told apart by `shift`, `severity` and `adapt`.

        Raises:
            DistillError: A network does not see the data as they are.
        """
        for role in roles:
            if run.nodes[role].data != WHOLE:
                raise DistillError(
                    f"--role {role} is not allowed with shift= or adapt=: it sees a view of its own of the data "
                    f"({run.nodes[role].data}); give --role and a network that sees them as they are."
                )
        rows: list[Row] = []
        for role in roles:
            node = run.nodes[role]
            about = {"run": run.folder.name, **taught(node), "model": node.model.label(), "seed": run.config.run.seed}
            rows += self._measure(run.network(role, self._precision.device), about)
        return rows

    def of_file(self, path: Path, config: Config) -> list[Row]:
        """Measures a network whose weights some other program left, likewise.

        Args:
            path: Of the weights.
            config: Its student says what network they are of.

        Raises:
            CheckpointError: The file is damaged, or not of such a network.
        """
        network = untrained(config.student, self._data.input_shape, self._data.class_count)
        weights.load_into(network, path, "FILE")
        about = {"run": path.name, "role": "network", "model": config.student.label()}
        return self._measure(network.eval().to(self._precision.device), about)

    def _measure(self, network: nn.Module, about: Row) -> list[Row]:
        network = arrange(network, self._data.input_shape, self._precision.device)
        rows = [self._row(about, None, "none", self._answers(network, self._data.test))]
        for shift, test in self._tests:
            if shift.name != "none":
                rows.append(self._row(about, shift, "none", self._answers(network, test)))
            if self._conditions.adapt is not None:
                options, device = self._conditions.adapt, self._precision.device
                logits = adapted_logits(network, test, self._normalization, options, device)
                rows.append(self._row(about, shift, options.name, logits))
        return rows

    def remarks(self) -> list[str]:
        """How the numbers came about, a sentence each."""
        adapt = self._conditions.adapt
        if adapt is None:
            return []
        return [
            f"Test examples arrive in random order, {adapt.batch_size} at a time; each batch is answered by the "
            "network and its moving average together, and only then learned from, without labels. Adaptation begins "
            "anew for every row and leaves the stored weights as they are."
        ]

    def _answers(self, network: nn.Module, test: Split) -> Tensor:
        batches = Batches(test, _BATCH, self._normalization, Augmentation(), 0, self._precision.device)
        return evaluate.logits(network, batches.in_order(), self._precision)[0]

    def _row(self, about: Row, shift: ShiftOptions | None, adapt: str, logits: Tensor) -> Row:
        scores = score(logits, self._data.test.labels)
        measured: dict[str, Any] = {
            name: getattr(scores, name) for name in ("accuracy", "top5", "errors", "nll", "brier", "ece")
        }
        where: Row = {"shift": "none", "severity": None, "adapt": adapt}
        if shift is not None and shift.name != "none":
            where |= {"shift": shift.name, "severity": shift.severity}
        return {**about, "dataset": self._data.name, "status": "finished", **measured, **where}
