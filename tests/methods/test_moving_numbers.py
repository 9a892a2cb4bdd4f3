"""Numbers of a loss that move from epoch to epoch."""

import math

import pytest
import torch

from distill.errors import ConfigError
from distill.methods import create, names
from distill.methods.schedules import faded, scheduled
from distill.methods.soft_targets import TemperatureOptions, soft_target_loss
from distill.types import Batch, Output

STUDENT, TEACHER = (torch.randn(6, 5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
BATCH = Batch(STUDENT, torch.tensor([0, 3, 2, 1, 4, 4]), torch.arange(6))
MOVING = [name for name in names() if isinstance(create(name).options, TemperatureOptions)]


@pytest.mark.parametrize("shape", ["linear", "cosine", "step"])
@pytest.mark.parametrize(("start", "end"), [(8.0, 2.0), (1.0, 5.0)])
@pytest.mark.parametrize("epochs", [4, 9, 240])
def test_it_starts_and_ends_where_it_should_and_never_turns_back(shape, start, end, epochs):
    values = [scheduled(start, end, shape, epoch, epochs) for epoch in range(epochs)]
    assert (values[0], values[-1]) == (pytest.approx(start), pytest.approx(end))
    assert values == sorted(values, reverse=start > end)


def test_shapes_by_hand():
    def five(shape):
        return [scheduled(0.0, 8.0, shape, epoch, 5) for epoch in range(5)]

    assert five("constant") == [0] * 5
    assert five("linear") == [0, 2, 4, 6, 8]
    root = math.sqrt(0.5)
    assert five("cosine") == pytest.approx([0, 4 * (1 - root), 4, 4 * (1 + root), 8])
    stairs = [scheduled(0.0, 9.0, "step", epoch, 8) for epoch in range(8)]
    assert stairs == [0, 0, 3, 3, 6, 6, 9, 9]


@pytest.mark.parametrize("shape", ["linear", "cosine", "step"])
def test_a_training_of_one_epoch_is_possible(shape):
    assert scheduled(4.0, 1.0, shape, 0, 1) == 4.0


def test_the_loss_follows_temperature_and_weight():
    method = create("hinton", T=8.0, T_schedule="linear", T_end=2.0, alpha=0.0, alpha_schedule="linear", alpha_end=0.6)
    assert method.changes
    for epoch, T, alpha in ((0, 8.0, 0.0), (1, 5.0, 0.3), (2, 2.0, 0.6)):
        method.start_epoch(epoch, 3)
        found = method(Output(STUDENT), Output(TEACHER), BATCH)
        torch.testing.assert_close(found["soft"], alpha * soft_target_loss(STUDENT, TEACHER, T))
        torch.testing.assert_close(found["hard"], (1 - alpha) * method.hard_loss(STUDENT, BATCH))


def test_a_resumed_training_goes_on_at_its_epoch():
    through = create("hinton", T_schedule="cosine", T_end=1.0)
    for epoch in range(4):
        through.start_epoch(epoch, 6)
    resumed = create("hinton", T_schedule="cosine", T_end=1.0)
    resumed.start_epoch(3, 6)
    assert resumed.T == through.T != create("hinton").T


@pytest.mark.parametrize("name", MOVING)
def test_every_method_with_a_temperature_takes_a_schedule(name):
    method = create(name, T=6.0, T_schedule="step", T_end=1.5)
    method.start_epoch(9, 10)
    assert method.T == 1.5
    assert method.changes


def test_they_are_many():
    assert {"hinton", "soft_hard", "lskd", "dkd", "nkd", "dist", "wkd_l", "tf_kd", "function_matching"} <= set(MOVING)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"T_end": 2.0},
            "T_end=2 is not allowed with T_schedule=constant: choose linear, cosine or step.",
        ),
        (
            {"alpha_schedule": "step"},
            "alpha_schedule=step is not allowed without method.alpha_end: give the value of the last epoch.",
        ),
    ],
)
def test_half_a_schedule_is_refused(options, sentence):
    with pytest.raises(ConfigError) as caught:
        create("hinton", **options)
    assert caught.value.problems == (sentence,)


def test_a_weight_fades_to_nothing_in_the_last_of_several_epochs():
    assert [faded(0.5, epoch, 4) for epoch in range(4)] == pytest.approx([1, 1, 0.5, 0])
    assert [faded(1.0, epoch, 4) for epoch in range(4)] == [1] * 4
    assert faded(0.5, 0, 1) == 1
