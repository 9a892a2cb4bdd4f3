"""Trainings that run as one come to what each comes to alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.config.options import Options
from distill.config.schema import Hparams
from distill.errors import TrainingError
from distill.methods import create
from distill.methods.base import Method
from distill.models import create as create_network
from distill.models.networks.mlp import MlpOptions
from distill.models.networks.vit import VitOptions
from distill.models.taps import Tapped, Taps
from distill.training import fit, members, stackable, stacked
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.task import EpochRow, Trained, Training
from distill.training.teacher_outputs import Cached, Live
from distill.types import Batch, Output

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
GRID = [{"T": T, "alpha": alpha} for T in (1.0, 4.0) for alpha in (0.3, 0.9)]


@pytest.fixture(params=[0, 10**9], ids=["traced", "plain"])
def tracing(request, monkeypatch) -> None:
    monkeypatch.setattr(members, "_TRACING_PAYS_FROM", request.param)


@pytest.fixture
def stack(batches) -> Callable[..., list[Training]]:
    """`stack([{"T": 1.0}, {"T": 4.0}])` are two trainings; keys are options of the method, hparams, or `seed`."""

    def make(specs: list[dict[str, Any]], dropout: float = 0.0, shift: int = 0, cached: bool = False) -> list[Training]:
        streams: dict[int, Any] = {}
        teachers: dict[int, Any] = {}

        def training(seed: int = 5, method: str = "hinton", **given: Any) -> Training:
            options = {key: given.pop(key) for key in ("T", "alpha") if key in given}
            network = _network(seed, 6, dropout)
            if seed not in streams:
                streams[seed] = batches(shift=shift, seed=seed)
                live = Live(Tapped(_network(seed + 100, 9)), FP32)
                teachers[seed] = Cached(live, streams[seed], 16) if cached else live
            return Training(
                role="student",
                network=network,
                method=create(method, **options),
                student=Tapped(network),
                teacher=teachers[seed],
                batches=streams[seed],
                val=None,
                test=tests,
                hparams=Hparams(**{"epochs": 3, "batch_size": 8, "lr": 0.05, **given}),
                seed=seed,
                precision=FP32,
            )

        tests = batches(count=12)
        return [training(**spec) for spec in specs]

    return make


def _network(seed: int, width: int, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return create_network(MlpOptions(name="mlp", widths=[width], dropout=dropout), (1, 4, 4), 3)


def _trained(results: list[Trained | TrainingError]) -> list[Trained]:
    assert all(isinstance(result, Trained) for result in results), results
    return [result for result in results if isinstance(result, Trained)]


def _assert_close(ours: Trained, alone: Trained) -> None:
    state, other = ours.network.state_dict(), alone.network.state_dict()
    assert state.keys() == other.keys()
    for name in state:
        torch.testing.assert_close(state[name], other[name], rtol=1e-4, atol=1e-5)
    for row, expected in zip(ours.history, alone.history, strict=True):
        assert list(row) == list(expected)
        for key, value in expected.items():
            if key != "seconds":
                assert row[key] == (pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value)
            if key.endswith("accuracy"):
                assert row[key] == value


def _without_clock(history: list[EpochRow]) -> list[EpochRow]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize(
    ("specs", "how"),
    [
        pytest.param(GRID, {}, id="T and alpha"),
        pytest.param(GRID, {"cached": True}, id="kept outputs of the teacher"),
        pytest.param(GRID, {"shift": 1}, id="augmentation"),
        pytest.param(GRID, {"dropout": 0.4}, id="dropout"),
        pytest.param([{"seed": seed} for seed in (5, 6, 7)], {}, id="seeds with a teacher each"),
        pytest.param([{"seed": s, "T": T} for s in (5, 6) for T in (1.0, 4.0)], {"shift": 1}, id="seeds and T"),
        pytest.param([{"method": "none", "seed": seed} for seed in (5, 6)], {}, id="labels alone"),
        *(
            pytest.param(
                [
                    {"optimizer": name, "lr": 0.01, "weight_decay": 0.0, "momentum": 0.5, "schedule": "onecycle"},
                    {"optimizer": name, "lr": 0.05, "weight_decay": 0.1, "momentum": 0.9, "warmup_epochs": 1.0},
                ],
                {},
                id=name,
            )
            for name in ("sgd", "nesterov", "adam", "adamw")
        ),
        pytest.param(
            [{"grad_clip": clip, "ema": ema, "label_smoothing": 0.1} for clip, ema in ((0.05, 0.7), (0.2, 0.9))],
            {},
            id="clipping, averages, smooth labels",
        ),
    ],
)
def test_a_stack_comes_to_what_each_comes_to_alone(specs, how, stack, watcher, tmp_path):
    alone = [fit.fit(each, tmp_path / f"{i}.pt", watcher(), Stop()) for i, each in enumerate(stack(specs, **how))]
    together = _trained(stacked.fit(stack(specs, **how), tmp_path / "stack.pt", watcher(), Stop()))
    for ours, expected in zip(together, alone, strict=True):
        _assert_close(ours, expected)
    assert len({tuple(one.network.state_dict()["classifier.bias"].tolist()) for one in together}) == len(specs)


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("moment", [{"stop_at_step": 1}, {"stop_at_step": 8}, {"stop_at_epoch": 2}], ids=str)
def test_stopping_and_continuing_a_stack_changes_no_bit(moment, stack, watcher, tmp_path, monkeypatch):
    monkeypatch.setattr(stacked, "_SECONDS_BETWEEN_REPORTS", 0.0)

    def fresh() -> list[Training]:
        return stack([{**spec, "ema": 0.7} for spec in GRID], dropout=0.4, shift=1)

    whole = _trained(stacked.fit(fresh(), tmp_path / "whole.pt", watcher(), Stop()))
    stopped = watcher(**moment)
    with pytest.raises(Interrupted) as caught:
        stacked.fit(fresh(), tmp_path / "part.pt", stopped, stopped.stop)
    assert caught.value.number == 15
    torch.rand(11)
    seen = watcher()
    rest = _trained(stacked.fit(fresh(), tmp_path / "part.pt", seen, Stop()))
    assert stopped.steps + seen.steps == 15
    for ours, expected in zip(rest, whole, strict=True):
        state, other = ours.network.state_dict(), expected.network.state_dict()
        assert all(torch.equal(state[name], other[name]) for name in other)
        assert _without_clock(ours.history) == _without_clock(expected.history)


def test_the_checkpoint_of_a_stack_stays_when_it_ends_so_that_members_can_still_be_put_away(stack, watcher, tmp_path):
    path = tmp_path / "stack.pt"
    first = _trained(stacked.fit(stack(GRID), path, watcher(), Stop()))
    seen = watcher()
    again = _trained(stacked.fit(stack(GRID), path, seen, Stop()))
    assert seen.rows == []
    for ours, expected in zip(again, first, strict=True):
        assert torch.equal(
            ours.network.state_dict()["classifier.bias"], expected.network.state_dict()["classifier.bias"]
        )
        assert ours.history == expected.history


@pytest.mark.usefixtures("tracing")
def test_a_member_that_breaks_spoils_no_other(stack, watcher, tmp_path):
    specs = [{"lr": 0.05}, {"lr": 1e30, "optimizer": "sgd"}, {"lr": 0.02}]
    specs = [{**spec, "optimizer": "sgd"} for spec in specs]
    fine, broken, slow = stacked.fit(stack(specs), tmp_path / "stack.pt", watcher(), Stop())
    assert isinstance(broken, TrainingError)
    with pytest.raises(TrainingError) as alone:
        fit.fit(stack(specs)[1], tmp_path / "alone.pt", watcher(), Stop())
    assert str(broken) == str(alone.value)
    assert broken.facts == alone.value.facts
    assert "The loss of the student is" in str(broken)
    for ours, spec in ((fine, specs[0]), (slow, specs[2])):
        assert isinstance(ours, Trained)
        _assert_close(ours, fit.fit(stack([spec])[0], tmp_path / f"{spec['lr']}.pt", watcher(), Stop()))


class Hint(Method):
    """A regressor from the student's embedding to the teacher's."""

    taps = frozenset({"embedding"})
    stacks = frozenset()

    def adapt(self, student: Output, teacher: Output) -> None:
        self.regressor = nn.Linear(6, 9)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        assert student.embedding is not None
        assert teacher.embedding is not None
        hint = nn.functional.mse_loss(self.regressor(student.embedding), teacher.embedding)
        return {"hint": hint, "hard": self.hard_loss(student.logits, batch)}


@pytest.mark.usefixtures("tracing")
def test_adapters_are_stacked_with_the_student(stack, watcher, tmp_path):
    def tapped() -> list[Training]:
        made = []
        for each in stack([{"lr": 0.01}, {"lr": 0.03}]):
            method = Hint(create("none").options)
            torch.manual_seed(8)
            method.build(each.student, each.student, next(each.batches.in_order(2)), each.batches.split.labels)
            teacher = Live(Tapped(_network(42, 9), Taps(embedding="classifier")), FP32)
            student = Tapped(each.network, Taps(embedding="classifier"))
            made.append(replace(each, method=method, student=student, teacher=teacher))
        return made

    alone = tapped()
    expected = [fit.fit(each, tmp_path / f"{i}.pt", watcher(), Stop()) for i, each in enumerate(alone)]
    together = tapped()
    results = _trained(stacked.fit(together, tmp_path / "stack.pt", watcher(), Stop()))
    for ours, other in zip(results, expected, strict=True):
        _assert_close(ours, other)
    for ours, other in zip(together, alone, strict=True):
        torch.testing.assert_close(ours.method.state_dict(), other.method.state_dict(), rtol=1e-4, atol=1e-5)
        assert ours.method.regressor.weight.requires_grad  # type: ignore[union-attr]


@dataclass(frozen=True, kw_only=True)
class EarlyOptions(Options):
    weight: float = 1.0


class Early(Method):
    """Reads its number before a stack can give it another."""

    stacks = frozenset({"weight"})
    options: EarlyOptions

    def __init__(self, options: EarlyOptions):
        super().__init__(options)
        self.weight = options.weight

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        return {"hard": self.weight * self.hard_loss(student.logits, batch)}


class Branching(Early):
    """Decides by a number."""

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        return {"hard": self.hard_loss(student.logits, batch) * (2 if self.options.weight > 1 else 1)}


def test_a_trial_finds_methods_that_cannot_be_stacked(stack):
    plan = stack([{}, {}])
    weights = (1.0, 3.0)
    early = [replace(each, method=Early(EarlyOptions(weight=w))) for each, w in zip(plan, weights, strict=True)]
    assert stackable.trial(early).reason == "the first losses would not be the same"
    branching = [replace(each, method=Branching(EarlyOptions(weight=w))) for each, w in zip(plan, weights, strict=True)]
    assert str(stackable.trial(branching).reason).startswith("torch.func.vmap: ")
    tried = stackable.trial(stack(GRID, dropout=0.4, shift=1))
    assert tried.reason is None
    assert tried.bytes > 7 * 4 * 123  # parameters of 16-6-3, with gradient, moments and copies


@pytest.mark.parametrize(
    ("network", "method", "hparams", "reason"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), "hinton", {}, "batch norm keeps statistics"),
        (nn.Conv2d(1, 1, 3), "hinton", {}, "stacked convolutions are slower on a CPU"),
        (nn.Linear(4, 4), "hinton", {"accumulate": 2}, "accumulate=2 "),
        (nn.Linear(4, 4), "hinton", {"on_nan": "skip"}, "on_nan=skip "),
        (nn.Linear(4, 4), "hinton", {"precision": "fp16"}, "precision=fp16 "),
    ],
)
def test_what_cannot_be_stacked_is_known_before_anything_is_built(network, method, hparams, reason):
    said = stackable.obstacle(network, create(method), Hparams(**hparams), CPU, 1e6)
    assert said is not None
    assert said.startswith(reason)


def test_a_method_that_says_nothing_is_not_stacked():
    class Memory(Early):
        stacks = None

    said = stackable.obstacle(nn.Linear(4, 4), Memory(EarlyOptions(name="memory")), Hparams(), CPU, 1e6)
    assert said == "method memory keeps something that cannot be stacked"


def test_a_cpu_takes_large_networks_one_by_one():
    def said(work: float, device: str) -> str | None:
        return stackable.obstacle(nn.Linear(4, 4), create("hinton"), Hparams(), torch.device(device), work)

    assert said(1e8, "cpu") == "each is enough work for a CPU, which would be slower on all at once"
    assert said(1e7, "cpu") is None
    assert said(1e8, "cuda") is None


def test_an_absent_checkpoint_is_no_obstacle(tmp_path: Path, stack, watcher):
    results = _trained(stacked.fit(stack(GRID[:2]), tmp_path / "deep" / "stack.pt", watcher(), Stop()))
    assert [len(result.history) for result in results] == [3, 3]


def test_attention_is_stacked_without_falling_back_to_one_by_one(stack):
    """torch warns where vmap has to, and warnings are errors here."""

    def transformer(each: Training) -> Training:
        network = create_network(VitOptions(name="vit", patch=2, width=8, depth=1), (1, 4, 4), 3)
        return replace(each, network=network, student=Tapped(network))

    assert stackable.trial([transformer(each) for each in stack(GRID[:2])]).reason is None
