"""`select=best_val`: the weights of the epoch that did best on validation examples, whatever happened meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.training import stackable, stacked
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.selection import Selection
from distill.training.stacked_selection import StackedSelection
from distill.training.task import Trained, Training

BEST = {"select": "best_val", "epochs": 6, "lr": 0.6, "optimizer": "sgd", "schedule": "constant"}


@pytest.fixture
def chosen(training, batches) -> Callable[..., Training]:
    """A training whose validation accuracy goes up and down."""

    def make(**changes: Any) -> Training:
        return training(val=batches(count=30, seed=9), dropout=0.4, **{**BEST, **changes})

    return make


def same(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


def accuracies(trained: Trained) -> list[float]:
    return [row["val_accuracy"] for row in trained.history]


def first_best(values: Sequence[float]) -> int:
    return values.index(max(values)) + 1


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_the_weights_are_those_of_the_first_of_the_best_epochs(chosen, watcher, tmp_path, ema):
    best = fit(chosen(ema=ema), tmp_path / "c.pt", watcher(), Stop())
    assert len(best.history) == 6
    assert best.epoch == first_best(accuracies(best)) < 6
    # Neither rate nor order depends on how many epochs there are: a training that ends there comes to the same.
    ended = fit(chosen(ema=ema, epochs=best.epoch, select="last"), tmp_path / "d.pt", watcher(), Stop())
    assert ended.epoch == best.epoch
    assert same(best.network.state_dict(), ended.network.state_dict())
    last = fit(chosen(ema=ema, select="last"), tmp_path / "e.pt", watcher(), Stop())
    assert (last.epoch, accuracies(last)) == (6, accuracies(best))
    assert not same(best.network.state_dict(), last.network.state_dict())


@pytest.mark.parametrize(
    "moment", [{"stop_at_step": 2}, {"stop_at_step": 22}, {"stop_at_epoch": 5}, {"stop_at_epoch": 6}], ids=str
)
@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_stopping_and_continuing_keeps_the_same_weights(chosen, watcher, tmp_path, moment, ema):
    whole = fit(chosen(ema=ema), tmp_path / "whole.pt", watcher(), Stop())
    stopped = watcher(**moment)
    with pytest.raises(Interrupted):
        fit(chosen(ema=ema), tmp_path / "part.pt", stopped, stopped.stop)
    rest = fit(chosen(ema=ema), tmp_path / "part.pt", watcher(), Stop())
    assert rest.epoch == whole.epoch
    assert same(rest.network.state_dict(), whole.network.state_dict())


def test_of_equally_good_epochs_the_first_is_kept_with_network_and_adapters():
    network, adapter = nn.Linear(2, 2), nn.Linear(1, 1)
    selection = Selection("best_val", (network, adapter))
    for epoch, accuracy in enumerate((0.0, 0.5, 0.5, 0.2), start=1):
        for module in (network, adapter):
            nn.init.constant_(module.weight, epoch)
        selection.saw(epoch, accuracy)
    assert network.weight.unique().tolist() == [4]
    selection.settle()
    assert (selection.epoch, network.weight.unique().tolist(), adapter.weight.item()) == (2, [2], 2)


def test_each_member_of_a_stack_keeps_an_epoch_of_its_own():
    selection = StackedSelection("best_val", torch.zeros(2, 3))
    for epoch, accuracies_now in enumerate(((0.1, 0.9), (0.3, 0.9), (0.2, 0.8)), start=1):
        selection.saw(epoch, accuracies_now, torch.full((2, 3), float(epoch)))
    again = StackedSelection("best_val", torch.zeros(2, 3))
    again.restore(selection.state())
    last = torch.full((2, 3), 3.0)
    assert [(kept.tolist(), epoch) for kept, epoch in (again.kept(last, 0), again.kept(last, 1))] == [
        ([2.0] * 3, 2),
        ([1.0] * 3, 1),
    ]


@pytest.mark.parametrize("moment", [{}, {"stop_at_epoch": 4}], ids=["at once", "stopped"])
def test_a_stack_keeps_what_each_keeps_alone(chosen, watcher, tmp_path, moment):
    def members() -> list[Training]:
        made = [replace(chosen(lr=lr), role=f"student {lr}") for lr in (0.4, 0.2)]
        return [replace(each, batches=made[0].batches, val=made[0].val, test=made[0].test) for each in made]

    assert stackable.kind(members()[0].hparams)["select"] == "best_val"
    if moment:
        stopped = watcher(**moment)
        with pytest.raises(Interrupted):
            stacked.fit(members(), tmp_path / "stack.pt", stopped, stopped.stop)
    together = stacked.fit(members(), tmp_path / "stack.pt", watcher(), Stop())
    for number, (ours, each) in enumerate(zip(together, members(), strict=True)):
        alone = fit(each, tmp_path / f"{number}.pt", watcher(), Stop())
        assert isinstance(ours, Trained)
        assert ours.epoch == alone.epoch
        for name, value in alone.network.state_dict().items():
            torch.testing.assert_close(ours.network.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    assert any(isinstance(one, Trained) and one.epoch < 6 for one in together)
