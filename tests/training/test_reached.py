"""R2 and RMSE by what adds up over the examples."""

import pytest
import torch

from distill.data.targets import Targets
from distill.training.reached import counted, named
from distill.training.tally import Tally
from distill.training.world import ALONE

# One target in metres with deviation 3, and one in kilograms with deviation 0.5.
TARGETS = Targets(("length", "weight"), (10.0, 2.0), (3.0, 0.5))
LABELS = torch.tensor([[0.0, 1.0], [2.0, -1.0], [4.0, 3.0]])


def reached(answers: torch.Tensor) -> dict[str, float]:
    return named(counted(answers, LABELS), LABELS, TARGETS)


def test_the_mean_explains_nothing_and_the_targets_themselves_everything():
    assert reached(LABELS.mean(dim=0).expand(3, 2))["r2"] == pytest.approx(0)
    assert reached(LABELS) == {"r2": 1.0, "rmse": 0.0}


def test_worse_than_the_mean_is_negative():
    assert reached(LABELS.flip(0))["r2"] == pytest.approx(((1 - 32 / 8) + (1 - 8 / 8)) / 2)


def test_rmse_is_in_the_units_of_the_targets():
    # Off by 1 and by 2 deviations: 3 m and 1 kg, whose mean is 2.
    assert reached(LABELS + torch.tensor([1.0, -2.0]))["rmse"] == pytest.approx((3.0 + 1.0) / 2)


def test_classes_are_counted_as_they_always_were():
    answers, labels = torch.eye(4), torch.tensor([0, 1, 1, 3])
    assert named(counted(answers, labels), labels, None) == {"accuracy": 0.75}


def test_an_epoch_in_steps_of_several_parts_comes_to_the_same_as_all_at_once():
    answers = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    tally = Tally([2, 1], torch.device("cpu"), LABELS, TARGETS)
    for step, rows in ((0, slice(0, 1)), (0, slice(1, 2)), (1, slice(2, 3))):
        tally.add(step, {"hard": torch.tensor(1.0)}, answers[rows], LABELS[rows])
    again = Tally([2, 1], torch.device("cpu"), LABELS, TARGETS)
    again.restore(tally.state())
    expected = {f"train_{name}": pytest.approx(value) for name, value in reached(answers).items()}
    assert again.means(ALONE) == {"loss": 1.0, "loss_hard": 1.0, **expected}
