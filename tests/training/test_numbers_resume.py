"""A training on real-valued targets: bit for bit the same when it was stopped within an epoch, however bad R2 is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.data import Augmentation, Batches, Normalization, Split
from distill.data.targets import Targets
from distill.methods import create
from distill.models import create as create_network
from distill.models.networks.mlp import MlpOptions
from distill.models.taps import Tapped
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.task import Trained, Training
from distill.training.teacher_outputs import Live

TARGETS = Targets(("a", "b"), (5.0, 50.0), (2.0, 20.0))
FP32 = Precision("fp32", torch.device("cpu"))


def examples(count: int, seed: int) -> Batches:
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 4, generator=random)
    labels = torch.stack([inputs.sum(dim=1), inputs[:, 0] * inputs[:, 1]], dim=1)
    return Batches(Split(inputs, labels), 8, Normalization(torch.zeros(1), torch.ones(1)), Augmentation(), seed=5)


@pytest.fixture
def regression(training: Callable[..., Training]) -> Callable[..., Training]:
    def make(**hparams: Any) -> Training:
        torch.manual_seed(3)
        student, teacher = (
            create_network(MlpOptions(name="mlp", widths=[width], dropout=0.2), (4,), 2) for width in (5, 9)
        )
        return replace(
            training(ema=0.5, **hparams),
            network=student,
            method=create("regression", bounded=True, margin=0.1, warmup=0.7),
            student=Tapped(student),
            teacher=Live(Tapped(teacher.eval()), FP32),
            batches=examples(40, 1),
            val=examples(16, 2),
            test=examples(12, 3),
            targets=TARGETS,
        )

    return make


def state(trained: Trained) -> dict[str, Tensor]:
    return trained.network.state_dict()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_stopping_within_an_epoch_changes_no_bit(regression, watcher, tmp_path, accumulate):
    whole = fit(regression(accumulate=accumulate), tmp_path / "whole.pt", watcher(), Stop())
    stopped = watcher(stop_at_step=8)
    with pytest.raises(Interrupted):
        fit(regression(accumulate=accumulate), tmp_path / "part.pt", stopped, stopped.stop)
    torch.rand(11)
    rest = fit(regression(accumulate=accumulate), tmp_path / "part.pt", watcher(), Stop())
    assert all(torch.equal(value, state(whole)[name]) for name, value in state(rest).items())
    first, second = ([{**row, "seconds": 0} for row in trained.history] for trained in (whole, rest))
    assert first == second


def test_the_best_of_epochs_that_are_all_worse_than_the_mean_is_kept(regression, watcher, tmp_path):
    plan = regression(select="best_val", lr=1e-6)
    with torch.no_grad():
        plan.network.get_submodule("classifier").bias.fill_(30.0)  # type: ignore[union-attr]
    trained = fit(plan, tmp_path / "far.pt", watcher(), Stop())
    known = [row["val_r2"] for row in trained.history]
    assert max(known) < -100
    assert trained.epoch == 1 + known.index(max(known))
