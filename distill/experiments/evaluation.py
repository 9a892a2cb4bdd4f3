"""Networks that are trained already, measured on any data set with the columns of the results table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.config.dataset_options import DatasetOptions
from distill.config.schema import Config
from distill.data import Augmentation, Batches, Dataset, Normalization, Split
from distill.data.memory import place
from distill.data.variants import variant
from distill.errors import DataError
from distill.experiments.plan import Node
from distill.experiments.reported import taught
from distill.experiments.saved import Saved, untrained
from distill.methods.nodes import WHOLE
from distill.models import count, weights
from distill.results.rows import Row, complete, read_csv
from distill.training import precision
from distill.training.class_prior import unseen
from distill.training.fidelity import fidelity
from distill.training.layout import arrange
from distill.training.measure import Measured, measure

_BATCH = 250  # as after a training, so that the same is measured
# What a run's table says of a network wherever it is measured.
_OF_TRAINING = ("adapters", "epochs", "epoch", "seconds", "memory_mb", "energy_wh", "signature")


class Measuring:
    """One data set, on which any number of networks is measured.

    Args:
        data: The data set.
        normalization: From its raw inputs to what the networks take.
        device: Where to compute.
    """

    def __init__(self, data: Dataset, normalization: Normalization, device: torch.device):
        self.data = data
        self.device = device
        self._normalization = normalization
        self._test = self._batches(data.test)
        self._val = None if data.val is None else self._batches(data.val)

    def of_run(self, run: Saved, roles: Sequence[str], wanted: str | None) -> list[Row]:
        """Measures networks of a run.

        Args:
            run: The run.
            roles: Which of its networks.
            wanted: The precision of the forward pass, as in the config; `None` takes that of each one's training.

        Returns:
            A row per network; what compares it with teacher and baseline is filled in where they are among them.
        """
        rows: list[Row] = []
        told: tuple[Tensor, tuple[str, ...]] | None = None  # the teacher's logits, and for which classes
        before = _table(run)
        together = "student" in run.nodes and run.nodes["student"].parents[:1] == ("ensemble",)
        taught_by = "ensemble" if together else "teacher"
        for role in roles:
            node = run.nodes[role]
            measuring = self._through_the_eyes_of(run, role)
            measured = measuring._measure(run.network(role, self.device), wanted or node.hparams.precision, node, run)
            row = {
                "run": run.folder.name,
                **taught(node),
                "model": node.label(),
                "dataset": measuring.data.name,
                "seed": run.config.run.seed,
                "status": "finished",
                **{key: before.get(role, {}).get(key) for key in _OF_TRAINING},
                **measured.columns,
            }
            if role == taught_by:
                told = (measured.logits, measuring.data.classes)
            elif told is not None and self.data.targets is None and measuring.data.classes == told[1]:
                row |= asdict(fidelity(measured.logits, told[0], measuring.data.test.labels))
            rows.append(row)
        return complete(rows)

    def _through_the_eyes_of(self, run: Saved, role: str) -> Measuring:
        """The same for a network that sees another variant of the data set."""
        run = run.seen_by(role)
        if run.seen == WHOLE:
            return self
        data = variant(self.data, run.config.dataset, run.seen)
        return Measuring(data, normalization_for(run, data), self.device)

    def of_file(self, path: Path, config: Config) -> list[Row]:
        """Measures a network whose weights some other program left.

        Args:
            path: Of the weights.
            config: Its student says what network they are of.

        Raises:
            CheckpointError: The file is damaged, or not of such a network.
        """
        options = config.student
        network = untrained(options, self.data.input_shape, self.data.class_count)
        weights.load_into(network, path, "FILE")
        measured = self._measure(network.eval().to(self.device), config.run.precision)
        row = {
            "run": path.name,
            "role": "network",
            "model": options.label(),
            "dataset": self.data.name,
            "status": "finished",
        }
        return complete([{**row, **measured.columns}])

    def _measure(self, network: nn.Module, wanted: str, node: Node | None = None, run: Saved | None = None) -> Measured:
        shape = self.data.input_shape
        network = arrange(network, shape, self.device)
        batch = _BATCH if node is None else node.hparams.batch_size
        work = count.flops(network, shape, self.device) * batch
        numbers = precision.resolve(wanted, self.device, work)
        if self.data.targets is not None:
            return measure(network, self._test, numbers, val=self._val, targets=self.data.targets)
        if self.data.tasks:
            return measure(network, self._test, numbers, val=self._val, tasks=self.data.tasks)
        counts, lacks = None, None
        if run is not None and node is not None:
            if not node.data.startswith("labels:"):
                counts = run.facts["dataset"]["train_by_class"]
            if node.examples == "transfer" and run.learned_from(self.data):
                lacks = unseen(self.data.transfer.labels, self.data.train.labels, self.data.class_count)
        return measure(network, self._test, numbers, val=self._val, counts=counts, lacks=lacks)

    def _batches(self, split: Split) -> Batches:
        placed, _ = place(split, self.device)
        return Batches(placed, _BATCH, self._normalization, Augmentation(), 0, self.device)


def _table(run: Saved) -> dict[str, Row]:
    try:
        return {row["role"]: row for row in read_csv(run.folder / "results.csv")}
    except DataError:  # it holds no more than what was measured then
        return {}


def unlearned(run: Saved, data: Dataset, options: DatasetOptions) -> Dataset:
    """The data, without validation examples where the networks of a run may have trained on these.

    Args:
        run: The run.
        data: Maybe its own, divided in another way.
        options: Of `data`.
    """
    own = run.config.dataset
    as_then = (options.val_fraction, options.seed) == (own.val_fraction, own.seed)
    return data if as_then or data.val is None or not run.learned_from(data) else replace(data, val=None)


def normalization_for(run: Saved, data: Dataset) -> Normalization:
    """From the raw inputs of a data set to what the networks of a run take.

    That is as the run learned it, whatever the data: only where white is another number is it scaled.

    Raises:
        DataError: The classes or the inputs of the data set are not those that the networks know.
    """
    _require_classes(run, data)
    shape = run.input_shape
    if data.input_shape != shape:
        raise DataError(
            f"The networks of {run.folder} take inputs {_by(shape)}, and those of {data.name} are "
            f"{_by(data.input_shape)}{_advice(data, shape)}."
        )
    pictures = not data.test.inputs.dtype.is_floating_point
    if pictures != (run.maximum is not None):
        kinds = ("pictures of bytes", "arrays of numbers")
        had, given = kinds if run.maximum is not None else kinds[::-1]
        raise DataError(f"The networks of {run.folder} learned from {had}, and {data.name} holds {given}.")
    if run.maximum is None or run.maximum == data.maximum:
        return run.normalization
    factor = data.maximum / run.maximum
    return replace(run.normalization, offset=run.normalization.offset * factor, scale=run.normalization.scale / factor)


def targets_for(run: Saved, data: Dataset) -> Dataset:
    """The data set of a regression with its targets on the scale on which the networks of a run learned them.

    Raises:
        DataError: One of both is about classes, or the targets are others.
    """
    if run.targets is None and data.targets is None:
        return data
    if run.targets is None or data.targets is None:
        what = ("classes", "real-valued targets")
        had, given = what if run.targets is None else what[::-1]
        raise DataError(f"The networks of {run.folder} learned {had}, and {data.name} has {given}.")
    if run.targets.names != data.targets.names:
        raise DataError(
            f"The networks of {run.folder} answer {', '.join(run.targets.names)}, and the targets of {data.name} are "
            f"{', '.join(data.targets.names)}: they must be the same, in that order."
        )
    return data.on_scale_of(run.targets)


def _require_classes(run: Saved, data: Dataset) -> None:
    known, given = run.classes, data.classes
    if known == given:
        return
    begin = f"The networks of {run.folder} know "
    if len(known) != len(given):
        raise DataError(f"{begin}{len(known)} classes, and {data.name} has {len(given)}.")
    number = next(number for number, pair in enumerate(zip(known, given, strict=True)) if pair[0] != pair[1])
    names = f"class {number} as {known[number]!r}, and in {data.name} it is {given[number]!r}"
    if sorted(known) == sorted(given):
        raise DataError(f"{begin}{names}: the classes are the same in another order; bring them into that of the run.")
    named = ", which dataset.class_names=[NAME, ...] gives" if data.name == "tensors" else ""
    raise DataError(f"{begin}{names}: they must have the same names{named}.")


def _advice(data: Dataset, shape: tuple[int, ...]) -> str:
    if data.name != "imagefolder" or len(shape) != 3:
        return ""
    return f": give dataset.size={shape[1]} dataset.channels={shape[0]}"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def remarks(run: Saved, data: Dataset) -> list[str]:
    """What a reader of the measurements must know, a sentence each."""
    tests = f"Measured on {len(data.test):,} test examples of {data.name}"
    status = run.facts.get("status")
    unfinished = []
    if status != "finished":
        ended = {"failed": "failed", "interrupted": "was interrupted"}.get(str(status), "has not finished")
        unfinished = [f"The run {ended}: it left only the weights of {', '.join(run.nodes)}."]
    if run.learned_from(data):
        return [*unfinished, f"{tests}, the data set of the run."]
    return [
        *unfinished,
        f"{tests}, which are not the data that the networks learned from ({run.facts['dataset']['name']}); inputs are "
        "normalised as the networks learned them, whatever the mean of these.",
    ]
