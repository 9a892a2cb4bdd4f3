"""A network small enough to train in a blink, with everything random that training can hold."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from distill.config.schema import Hparams
from distill.data import Augmentation, Batches, Normalization, Split
from distill.methods import create
from distill.models import create as create_network
from distill.models.networks.mlp import MlpOptions
from distill.models.taps import Tapped
from distill.training import fit
from distill.training.interrupt import Stop
from distill.training.precision import Precision
from distill.training.task import EpochRow, Training
from distill.training.teacher_outputs import nobody


@dataclass
class Watcher:
    """A listener that sees every step, and asks to stop after one of them or after an epoch."""

    stop: Stop = field(default_factory=Stop)
    stop_at_step: int | None = None
    stop_at_epoch: int | None = None
    on_step: Callable[[], None] = lambda: None
    steps: int = 0
    rows: list[EpochRow] = field(default_factory=list)
    rows_before: list[EpochRow] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def step(self, role: str, epoch: int, epochs: int, progress: float, loss: float) -> None:
        self.steps += 1
        self.on_step()
        if self.steps == self.stop_at_step:
            self.stop.number = 15

    def epoch(self, row: EpochRow, epochs: int) -> None:
        self.rows.append(row)
        if len(self.rows) == self.stop_at_epoch:
            self.stop.number = 15

    def resumed(self, rows: list[EpochRow]) -> None:
        self.rows_before = list(rows)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> type[Watcher]:
    monkeypatch.setattr(fit, "_SECONDS_BETWEEN_LOOKS", {"cpu": -1.0})
    return Watcher


def pictures(count: int) -> Split:
    random = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (count, 1, 4, 4), generator=random, dtype=torch.uint8)
    return Split(inputs, inputs.flatten(1)[:, :3].long().argmax(dim=1))


@pytest.fixture
def batches() -> Callable[..., Batches]:
    def make(count: int = 40, batch_size: int = 8, shift: int = 0, seed: int = 5) -> Batches:
        normalization = Normalization(torch.tensor([128.0]), torch.tensor([1 / 64]))
        return Batches(pictures(count), batch_size, normalization, Augmentation(shift), seed)

    return make


@pytest.fixture
def training(batches: Callable[..., Batches]) -> Callable[..., Training]:
    """5 steps per epoch over 40 pictures of 4x4 in 3 classes; keywords are hparams, or parts of a `Training`."""

    def make(dropout: float = 0.0, shift: int = 0, seed: int = 5, **changes: Any) -> Training:
        torch.manual_seed(3)
        network = create_network(MlpOptions(name="mlp", widths=[6], dropout=dropout), (1, 4, 4), 3)
        parts = {key: changes.pop(key) for key in list(changes) if key in Training.__dataclass_fields__}
        made = Training(
            role="student",
            network=network,
            method=create("none"),
            student=Tapped(network),
            teacher=nobody,
            batches=batches(shift=shift, seed=seed),
            val=None,
            test=batches(count=12),
            hparams=Hparams(**{"epochs": 3, "batch_size": 8, "lr": 0.05, **changes}),
            seed=seed,
            precision=Precision("fp32", torch.device("cpu")),
        )
        return replace(made, **parts)

    return make
