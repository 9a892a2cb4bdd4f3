"""A training that was stopped and continued is, bit for bit, the one that was not."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.errors import CheckpointError
from distill.methods import create
from distill.methods.base import Method
from distill.models.taps import Tapped, default_taps
from distill.training import checkpoint
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.task import EpochRow, Training
from distill.training.teacher_outputs import Live
from distill.types import Batch, Output


class Hint(Method):
    """A regressor from the student's last feature map to the teacher's, next to the labels."""

    taps = frozenset({"features"})

    def adapt(self, student: Output, teacher: Output) -> None:
        width, taught = (output.features[-1].shape[1] for output in (student, teacher))
        self.regressor = nn.Linear(width, taught)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        hint = nn.functional.mse_loss(self.regressor(student.features[-1]), teacher.features[-1])
        return {"hint": hint, "hard": self.hard_loss(student.logits, batch)}


def tapped(network: nn.Module) -> Tapped:
    return Tapped(network, default_taps(network).only(["features"]))


@pytest.fixture
def taught(training):
    """A training with everything that has a state of its own."""

    def make(**changes: Any) -> Training:
        teacher = tapped(training().network)
        common = {"dropout": 0.4, "shift": 1, "ema": 0.7, "optimizer": "nesterov", "schedule": "onecycle", "lr": 0.02}
        plan = training(**{**common, **changes})
        method = Hint(create("none").options)
        student = tapped(plan.network)
        torch.manual_seed(8)
        method.build(student, teacher, next(plan.batches.in_order(2)), plan.batches.split.labels)
        return replace(plan, method=method, student=student, teacher=Live(teacher, plan.precision))

    return make


def without_clock(history: list[EpochRow]) -> list[EpochRow]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def same(first: nn.Module, second: nn.Module) -> bool:
    state, other = first.state_dict(), second.state_dict()
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize(
    "moment",
    [{"stop_at_step": 1}, {"stop_at_step": 8}, {"stop_at_epoch": 1}, {"stop_at_step": 14}, {"stop_at_epoch": 3}],
    ids=lambda moment: "-".join(map(str, *moment.items())),
)
@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "nesterov"},
        {"optimizer": "adamw"},
        {"precision": Precision("fp16", torch.device("cpu"))},  # the loss scaler has a state
        {"accumulate": 2, "grad_clip": 0.5},
    ],
    ids=["nesterov", "adamw", "fp16", "accumulate"],
)
def test_stopping_and_continuing_changes_no_bit(moment, changes, taught, watcher, tmp_path):
    whole_plan = taught(**changes)
    whole = fit(whole_plan, tmp_path / "whole.pt", watcher(), Stop())

    stopped = watcher(**moment)
    with pytest.raises(Interrupted) as caught:
        fit(taught(**changes), tmp_path / "part.pt", stopped, stopped.stop)
    assert caught.value.number == 15
    torch.rand(11)
    seen = watcher()
    plan = taught(**changes)
    rest = fit(plan, tmp_path / "part.pt", seen, Stop())

    assert stopped.steps + seen.steps == 15
    assert same(rest.network, whole.network)
    assert same(plan.network, whole_plan.network)
    assert same(plan.method, whole_plan.method)
    assert without_clock(rest.history) == without_clock(whole.history)


def test_stopping_twice_changes_no_bit_either(taught, watcher, tmp_path):
    whole = fit(taught(), tmp_path / "whole.pt", watcher(), Stop())
    for step in (3, 4):
        stopped = watcher(stop_at_step=step)
        with pytest.raises(Interrupted):
            fit(taught(), tmp_path / "part.pt", stopped, stopped.stop)
    rest = fit(taught(), tmp_path / "part.pt", watcher(), Stop())
    assert same(rest.network, whole.network)
    assert without_clock(rest.history) == without_clock(whole.history)


def test_a_checkpoint_is_written_within_an_epoch_when_time_is_up(taught, watcher, tmp_path):
    path = tmp_path / "c.pt"
    seen: list[tuple[int, int]] = []

    def look() -> None:
        state = checkpoint.load(path, pytest.fail)
        seen.append((state["epoch"], state["step"]) if state else (0, 0))

    fit(taught(minutes=1e-9), path, watcher(on_step=look), Stop())
    # Looked at before each step is saved; after the last step of an epoch the epoch itself is.
    assert seen[:7] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]


def test_training_goes_on_where_a_checkpoint_cannot_be_written_and_says_so_once(taught, watcher, tmp_path, monkeypatch):
    expected = fit(taught(), tmp_path / "whole.pt", watcher(), Stop())

    def full(*_):
        raise CheckpointError("store.dir=s cannot be written: No space left on device.")

    monkeypatch.setattr(checkpoint, "save", full)
    seen = watcher()
    done = fit(taught(minutes=1e-9), tmp_path / "c.pt", seen, Stop())
    assert same(done.network, expected.network)
    assert seen.warnings == ["store.dir=s cannot be written: No space left on device. Training goes on without it."]
    stopped = watcher(stop_at_step=7)
    with pytest.raises(CheckpointError):
        fit(taught(), tmp_path / "d.pt", stopped, stopped.stop)


def test_adapters_train_with_the_student_and_stand_in_the_checkpoint(taught, watcher, tmp_path):
    plan = taught()
    before = plan.method.regressor.weight.detach().clone()
    stopped = watcher(stop_at_step=7)
    with pytest.raises(Interrupted):
        fit(plan, tmp_path / "c.pt", stopped, stopped.stop)
    state = checkpoint.load(tmp_path / "c.pt", pytest.fail)
    assert state is not None
    assert not torch.equal(plan.method.regressor.weight, before)
    assert torch.equal(state["method"]["regressor.weight"], plan.method.regressor.weight)
    parameters = [*plan.network.parameters(), *plan.method.parameters()]
    assert len(state["optimizer"]["param_groups"][0]["params"]) == len(parameters) == 6


def test_a_corrupt_checkpoint_is_said_and_training_starts_over(training, watcher, tmp_path):
    path = tmp_path / "c.pt"
    expected = fit(training(), path, watcher(), Stop())
    path.write_bytes(b"half a file")
    seen = watcher()
    again = fit(training(), path, seen, Stop())
    assert seen.warnings == [f"{path} cannot be read (it is damaged); training starts over."]
    assert seen.steps == 15
    assert same(again.network, expected.network)


def test_what_is_saved_comes_back(tmp_path):
    state = {"weights": {"a": torch.arange(3.0)}, "epoch": 2, "none": None}
    checkpoint.save(tmp_path / "deep" / "c.pt", state)
    loaded = checkpoint.load(tmp_path / "deep" / "c.pt", pytest.fail)
    assert loaded is not None
    assert torch.equal(loaded["weights"]["a"], state["weights"]["a"])
    assert (loaded["epoch"], loaded["none"]) == (2, None)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.pt"]


def test_random_numbers_go_on_where_they_were():
    device = Precision("fp32", torch.device("cpu")).device
    state = checkpoint.random_state(device)
    expected = torch.rand(4)
    torch.rand(4)
    checkpoint.restore_random_state(state, device)
    assert torch.equal(torch.rand(4), expected)
