"""How long an epoch takes: our loop, the loop of the usual tutorial, and the compute floor.

    GOMP_SPINCOUNT=20000 python scripts/bench_loop.py [--root data] [--cifar FOLDER] [--synthetic]
                                                      [--examples N] [--repeats N]

ours      The training of `distill train`, set up by the code that sets up every run, its seconds as its history has
          them: all but the evaluation after each epoch. `once` is what comes before the first step, where teacher
          outputs are kept: mostly the teacher's answers, once per training and example (per view, with views).
tutorial  What PyTorch's tutorial on knowledge distillation and the training loop of RepDistiller do: a `Dataset` makes
          a PIL image of each example and transforms it (crop, flip, ToTensor, Normalize); a `DataLoader` with 0 or with
          2 workers that stay (the faster one counts); fp32; torch's default number of threads; the optimizer as
          `torch.optim` makes it; the teacher asked in the loop, `nn.KLDivLoss`, and `.item()` in every step. Decoding
          files would come on top: pictures lie decoded in memory, as torchvision's MNIST and CIFAR10 hold them.
floor     Nothing but arithmetic: our network, precision, memory format, loss and optimizer on one batch that lies in
          memory, the teacher's outputs for it included. Where a teacher has to be asked for every batch (random views
          that never come back), `+ teacher` is the floor with the teacher's forward pass in each step.

All of them take turns, one epoch each, so that a busy machine slows all alike; the first round is a warm-up. Medians.
Settings of the process that `distill train` makes for itself (GOMP_SPINCOUNT, memory that is kept) serve all three.
"""

from __future__ import annotations

import argparse
import copy
import functools
import operator
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torchvision.transforms as transforms
from _machine import say_where
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from distill import models
from distill.config import tree
from distill.config.compose import Registries, check
from distill.config.schema import Config, Hparams
from distill.data import Dataset, datasets, load
from distill.experiments import obtain
from distill.experiments.display import Display
from distill.experiments.obtain import Workshop
from distill.experiments.plan import plan
from distill.experiments.store import Store
from distill.methods import methods
from distill.models import weights
from distill.tracking import trackers
from distill.training import device as devices
from distill.training import fit as fitting
from distill.training import optimizers
from distill.training.interrupt import Stop
from distill.training.layout import keep_memory
from distill.training.task import EpochRow, Trained, Training
from distill.training.teacher_outputs import Live
from distill.types import Batch, Output

_T, _ALPHA = 4.0, 0.9
_MNIST, _CIFAR = (1, 28, 28), (3, 32, 32)
_CROP = 4  # pixels of padding
_WORKERS = (0, 2)
_MLP = ("hparams=mnist", "hparams.batch_size=128")
_CNN = ("hparams=mnist",)
_RESNET = ("hparams=cifar", "hparams.lr=0.01", "dataset.augment=crop_flip", f"dataset.padding={_CROP}")


@dataclass(frozen=True)
class _Case:
    """One comparison.

    Attributes:
        name: For the table.
        shape: Of a picture.
        examples: Of an epoch.
        teacher: Overrides that choose it; its weights are random, which costs the same.
        student: Overrides that choose it; `None`: the teacher itself is trained, on hard labels.
        hparams: Overrides for training and data.
    """

    name: str
    shape: tuple[int, int, int]
    examples: int
    teacher: tuple[str, ...]
    student: tuple[str, ...] | None
    hparams: tuple[str, ...]

    @property
    def role(self) -> str:
        return "teacher" if self.student is None else "student"


_MLP_1200 = ("model@teacher=mlp_1200",)
_RESNETS = (("model@teacher=resnet56",), ("model@student=resnet20",))
_CASES = (
    _Case("MLP 1200-1200, labels", _MNIST, 12800, _MLP_1200, None, _MLP),
    _Case("MLP 800-800 < 1200-1200", _MNIST, 12800, _MLP_1200, ("model@student=mlp_800",), _MLP),
    _Case("CNN 16-32 < 64-128-256", _MNIST, 6400, ("model@teacher=cnn_teacher",), ("model@student=cnn_student",), _CNN),
    _Case("resnet20 < 56", _CIFAR, 1280, *_RESNETS, _RESNET),
    _Case("resnet20 < 56, views=2", _CIFAR, 1280, *_RESNETS, (*_RESNET, "dataset.views=2")),
)

_HEADINGS = ("student < teacher", "batch", "in", "teacher", "ours", "tutorial", "floor", "+ teacher")
_RATIOS = ("tutorial/ours", "floor/ours", "+ teacher/ours", "once")


class _Pictures(TorchDataset):
    """What torchvision's MNIST and CIFAR10 are: arrays in memory, an image made of one at a time."""

    def __init__(self, pictures: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]):
        grey = pictures.shape[1] == 1
        self._pictures = (pictures[:, 0] if grey else pictures.permute(0, 2, 3, 1)).contiguous().cpu().numpy()
        self._labels = labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._pictures[position])), self._labels[position]


class _Tutorial:
    """The loop as it is usually written."""

    def __init__(self, training: Training, teacher: nn.Module | None, workers: int, threads: int):
        batches = training.batches
        self._device = batches.device
        self._threads = threads
        # Its own copy with weights laid out as torch lays them out.
        self._student = copy.deepcopy(training.network).to(memory_format=torch.contiguous_format)
        self._teacher = teacher
        self._optimizer = _default_optimizer(self._student, training.hparams)
        moved = not batches.augmentation.deterministic
        channels = batches.split.inputs.shape[1]
        transform = transforms.Compose(
            [
                *([transforms.RandomCrop(32, padding=_CROP), transforms.RandomHorizontalFlip()] if moved else []),
                transforms.ToTensor(),
                transforms.Normalize((0.1307,), (0.3081,))
                if channels == 1
                else transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            ]
        )
        self._loader = DataLoader(
            _Pictures(batches.split.inputs[torch.arange(len(batches.split))], batches.split.labels, transform),
            batch_size=batches.batch_size,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self._device.type == "cuda",
        )

    def epoch(self) -> float:
        """Seconds of one epoch."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            began = time.perf_counter()
            self._train()
            return time.perf_counter() - began
        finally:
            torch.set_num_threads(before)

    def _train(self) -> None:
        hard, soft = nn.CrossEntropyLoss(), nn.KLDivLoss(reduction="batchmean")
        self._student.train()
        running_loss = 0.0
        for inputs, labels in self._loader:
            inputs, labels = inputs.to(self._device), labels.to(self._device)
            self._optimizer.zero_grad()
            logits = self._student(inputs)
            loss = hard(logits, labels)
            if self._teacher is not None:
                with torch.no_grad():
                    taught: Tensor = self._teacher(inputs)
                student = nn.functional.log_softmax(logits / _T, dim=-1)
                targets = nn.functional.softmax(taught / _T, dim=-1)
                loss = (1 - _ALPHA) * loss + _ALPHA * _T**2 * soft(student, targets)
            loss.backward()
            self._optimizer.step()
            running_loss += loss.item()


def _default_optimizer(network: nn.Module, hparams: Hparams) -> torch.optim.Optimizer:
    parameters, rate, decay = network.parameters(), hparams.lr, hparams.weight_decay
    if hparams.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=rate, momentum=hparams.momentum, weight_decay=decay)


class _Floor:
    """The arithmetic of our loop on a batch that lies in memory."""

    def __init__(self, training: Training, *, asks: bool):
        self._training = training
        self._asks = asks
        self._network = copy.deepcopy(training.network)
        self._optimizer = optimizers.build(self._network.parameters(), training.hparams)
        self._batch: Batch = next(iter(training.batches.epoch(0)))
        self._taught = training.teacher(self._batch)

    def epoch(self) -> float:
        """Seconds of as many steps as an epoch has."""
        training, device = self._training, self._training.batches.device
        self._network.train()
        devices.synchronize(device)
        began = time.perf_counter()
        for _ in range(len(training.batches)):
            if self._asks:
                training.teacher(self._batch)
            self._optimizer.zero_grad()
            with training.precision.autocast():
                logits = self._network(self._batch.inputs)
            losses = training.method(Output(logits.float()), self._taught, self._batch)
            functools.reduce(operator.add, losses.values()).backward()
            self._optimizer.step()
        devices.synchronize(device)
        return time.perf_counter() - began


@dataclass
class _Times:
    """Seconds per epoch of everybody, a list of rounds each; the first round is a warm-up.

    Attributes:
        training: What was measured.
        once: Seconds before the first step.
    """

    training: Training
    once: float
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.rounds.setdefault(name, []).append(seconds)

    def median(self, name: str) -> float | None:
        return statistics.median(self.rounds[name][1:]) if name in self.rounds else None


class _TakingTurns:
    """Lets the others train an epoch after each of ours."""

    def __init__(self, times: _Times, others: Mapping[str, Callable[[], float]]):
        self._times = times
        self._others = others

    def step(self, role: str, epoch: int, epochs: int, progress: float, loss: float) -> None:
        pass

    def resumed(self, rows: Sequence[EpochRow]) -> None:
        pass

    def warn(self, text: str) -> None:
        print(text, file=sys.stderr)

    def epoch(self, row: EpochRow, epochs: int) -> None:
        self._times.add("ours", row["seconds"])
        for name, run in self._others.items():
            self._times.add(name, run())


def _measure(case: _Case, data_words: Sequence[str], rounds: int, device: str, folder: Path) -> _Times:
    words = [
        *data_words,
        *case.teacher,
        *(case.student or ()),
        *case.hparams,
        f"method.T={_T}",
        f"method.alpha={_ALPHA}",
    ]
    words += [f"hparams.epochs={rounds + 1}", f"output={folder}", "dataset.limit_test=100", f"device={device}"]
    if case.student is not None:
        words += ["teacher.train=false", f"teacher.checkpoint={folder / 'teacher.safetensors'}"]
    config = _config(words)
    data = load(config.dataset)
    if case.student is not None:
        weights.save(_network(config, data).state_dict(), folder / "teacher.safetensors")
    where = devices.resolve(config.run.device)
    display = Display(Console(quiet=True), quiet=True)
    workshop = Workshop(config, data, where, Store(folder / "store"), display, Stop(), time.time())
    every = torch.get_num_threads()
    began = time.perf_counter()
    measured: list[_Times] = []

    def fit(training: Training, *rest: Any) -> Trained:
        if training.role != case.role:
            return fitting.fit(training, *rest)
        times = _Times(training, time.perf_counter() - began)
        measured.append(times)
        teacher = None if case.student is None else _network(config, data).to(where).eval()
        others: dict[str, Callable[[], float]] = {
            f"tutorial {workers}": _Tutorial(training, teacher, workers, every).epoch for workers in _WORKERS
        }
        others["floor"] = _Floor(training, asks=False).epoch
        if isinstance(training.teacher, Live):
            others["floor + teacher"] = _Floor(training, asks=True).epoch
        path, _, stop = rest
        return fitting.fit(training, path, _TakingTurns(times, others), stop)

    # A run sets its training up and calls fit: there it can be watched with all that a run chooses.
    with mock.patch.object(obtain, "fit", fit):
        obtained: list[obtain.Obtained] = []
        for node in workshop.prepare(plan(config)):
            if node.role not in ("teacher", case.role):
                continue
            began = time.perf_counter()
            parents = [other for other in obtained if other.node.role in node.parents]
            obtained.append(workshop.obtain(node, parents))
            if node.role == case.role:
                break
    return measured[0]


def _config(words: Sequence[str]) -> Config:
    with initialize_config_dir(str(tree.folder()), version_base="1.3"):
        return check(compose("train", list(words)), Registries(models.models, datasets, methods, trackers))


def _network(config: Config, data: Dataset) -> nn.Module:
    """The teacher; every one that is made here has the same weights."""
    torch.manual_seed(0)
    return models.create(config.teacher, data.input_shape, data.class_count)


def _random_pictures(shape: tuple[int, int, int], examples: int, folder: Path) -> list[str]:
    random = np.random.default_rng(0)
    path = folder / f"pictures-{'x'.join(map(str, shape))}.npz"
    arrays = {}
    for split, count in (("train", examples), ("test", 100)):
        arrays[f"x_{split}"] = random.integers(0, 256, (count, *shape), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)
    return ["dataset=tensors", f"dataset.path={path}"]


def _words_for_data(case: _Case, asked: argparse.Namespace, examples: int, folder: Path) -> list[str]:
    if case.shape == _MNIST and not asked.synthetic:
        return ["dataset=mnist", f"dataset.root={asked.root}", f"dataset.limit_train={examples}"]
    if case.shape == _CIFAR and asked.cifar and not asked.synthetic:
        place = (f"dataset.path={asked.cifar}", f"dataset.cache={asked.cache or folder}")
        return ["dataset=imagefolder", *place, f"dataset.limit_train={examples}"]
    return _random_pictures(case.shape, examples, folder)


def _row(case: _Case, times: _Times, examples: int) -> list[str]:
    def shown(seconds: float | None) -> str:
        return "" if seconds is None else f"{seconds * 1e6 / examples:.1f}"

    ours, floor, asking = (times.median(name) for name in ("ours", "floor", "floor + teacher"))
    tutorial, workers = min((times.median(f"tutorial {workers}") or 0.0, workers) for workers in _WORKERS)
    assert ours is not None
    assert floor is not None
    training = times.training
    how = "" if case.student is None else "live" if asking is not None else "kept"
    return [
        case.name,
        f"{training.hparams.batch_size}",
        training.precision.name,
        how,
        shown(ours),
        f"{shown(tutorial)} ({workers} w.)",
        shown(floor),
        shown(asking),
        f"{tutorial / ours:.1f}x",
        f"{floor / ours:.0%}",
        "" if asking is None else f"{asking / ours:.0%}",
        shown(times.once) if how == "kept" else "",
    ]


def main() -> None:
    """Prints a table of milliseconds per 1,000 examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder that holds MNIST/raw")
    parser.add_argument("--cifar", help="folder with train/<class>/ and test/<class>/; default: random pictures")
    parser.add_argument("--cache", help="where its decoded pictures are kept for the next time")
    parser.add_argument("--synthetic", action="store_true", help="random pictures instead of MNIST as well")
    parser.add_argument("--examples", type=int, help="of an epoch; default: 12,800 or 6,400 of MNIST, 1,280 of CIFAR")
    parser.add_argument("--repeats", type=int, default=5, help="measured rounds")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="does it run? one round of 128 random pictures")
    asked = parser.parse_args()
    if asked.quick:
        asked.synthetic, asked.examples, asked.repeats = True, 128, 1

    keep_memory()  # as every run does; it serves the tutorial as well, as the setting is that of a process
    console = Console(width=160)
    unit = f"median of {asked.repeats} epochs, milliseconds per 1,000 examples"
    say_where(console, unit, devices.resolve(asked.device))
    table = Table(box=SIMPLE)
    for heading in (*_HEADINGS, *_RATIOS):
        table.add_column(heading, justify="left" if heading in _HEADINGS[:4] else "right", no_wrap=True)
    for case in _CASES:
        if asked.only not in case.name:
            continue
        examples = asked.examples or case.examples
        with tempfile.TemporaryDirectory(prefix="distill-bench-") as folder:
            words = _words_for_data(case, asked, examples, Path(folder))
            times = _measure(case, words, asked.repeats, asked.device, Path(folder))
        table.add_row(*_row(case, times, examples))
        print(f"measured: {case.name}", file=sys.stderr)
    console.print(table)


if __name__ == "__main__":
    main()
