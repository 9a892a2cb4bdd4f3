"""Learning rates are those of torch's own schedulers."""

from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR, StepLR

from distill.config.schema import Hparams
from distill.training.schedules import learning_rate

STEPS, EPOCHS, LR = 10, 30, 0.4


def ours(steps: int = STEPS, epochs: int = EPOCHS, **values) -> list[float]:
    hparams = Hparams(lr=LR, epochs=epochs, **values)
    return [learning_rate(hparams, step, steps) for step in range(steps * epochs)]


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)


def theirs(schedule: LRScheduler, count: int) -> list[float]:
    rates = []
    for _ in range(count):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return rates


def test_constant():
    assert set(ours(schedule="constant")) == {LR}


@pytest.mark.parametrize(
    ("values", "scheduler"),
    [
        ({"schedule": "step", "step_epochs": 7, "gamma": 0.5}, lambda sgd: StepLR(sgd, 7, gamma=0.5)),
        (
            {"schedule": "multistep", "milestones": [4, 9, 20], "gamma": 0.1},
            lambda sgd: MultiStepLR(sgd, [4, 9, 20], gamma=0.1),
        ),
    ],
    ids=["step", "multistep"],
)
def test_drops_come_after_whole_epochs(values, scheduler):
    expected = [rate for rate in theirs(scheduler(optimizer()), EPOCHS) for _ in range(STEPS)]
    assert ours(**values) == pytest.approx(expected)


@pytest.mark.parametrize("min_lr", [0.0, 0.01])
def test_cosine_falls_with_each_step(min_lr):
    expected = theirs(CosineAnnealingLR(optimizer(), STEPS * EPOCHS, eta_min=min_lr), STEPS * EPOCHS)
    assert ours(schedule="cosine", min_lr=min_lr) == pytest.approx(expected, abs=1e-9)


def test_one_cycle_is_torchs_to_within_a_step():
    rates = ours(schedule="onecycle")
    expected = theirs(OneCycleLR(optimizer(), LR, total_steps=STEPS * EPOCHS + 1, cycle_momentum=False), STEPS * EPOCHS)
    largest_step = max(abs(after - before) for before, after in pairwise(expected))
    assert max(abs(a - b) for a, b in zip(rates, expected, strict=True)) <= largest_step
    assert rates[0] == pytest.approx(LR / 25)
    assert rates[90] == max(rates) == pytest.approx(LR)
    assert rates[-1] < LR / 1000


def test_warm_up_rises_in_equal_steps_to_where_the_schedule_begins():
    rates = ours(schedule="cosine", warmup_epochs=2)
    warm, rest = rates[:20], rates[20:]
    assert warm == pytest.approx([LR * (step + 1) / 21 for step in range(20)])
    assert rest == pytest.approx(theirs(CosineAnnealingLR(optimizer(), 280), 280), abs=1e-9)


def test_warm_up_may_last_a_fraction_of_an_epoch():
    rates = ours(schedule="constant", warmup_epochs=0.5)
    assert rates[:5] == pytest.approx([LR * n / 6 for n in range(1, 6)])
    assert set(rates[5:]) == {LR}


@pytest.mark.parametrize(("steps", "epochs"), [(5, 300), (20, 75), (64, 24), (1000, 10)])
def test_auto_epochs_make_about_1500_steps_in_10_to_300_epochs(steps, epochs):
    assert Hparams().resolved(steps).epochs == epochs
    assert Hparams(epochs=3).resolved(steps).epochs == 3
