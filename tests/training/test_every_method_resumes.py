"""With every method: a training that was stopped and continued is, bit for bit, the one that was not.

Warm-up, schedules and first stages are on wherever a method has them, and both networks have batch norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.config import tree
from distill.config.registry import defaults
from distill.config.schema import Hparams
from distill.data import Augmentation, Batches, Normalization, Split
from distill.methods import Method, create, methods
from distill.models import create as create_network
from distill.models.networks.resnet import ResnetOptions
from distill.models.networks.vit import VitOptions
from distill.models.taps import Tapped, default_taps, with_preactivations
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.task import Trained, Training
from distill.training.teacher_outputs import Live, nobody
from distill.types import Batch

# Those with a plan of their own are resumed in tests of their own.
METHODS = [choice.name for choice in tree.choices("method") if not methods.find(choice.name).factory.arranges()]
CLASSES = 3
EPOCHS, STEPS = 3, 3
# Whatever makes one epoch different from another, where a method has it.
MOVING = {
    "warmup": 0.67,
    "init": 0.34,
    "decay_from": 0.34,
    "ramp_share": 0.67,
    "T_schedule": "linear",
    "T_end": 1.5,
    "alpha_schedule": "linear",
    "alpha_end": 0.3,
}
# What else makes a method learn something of its own, or draw at random.
CHOSEN = {"crd": {"negatives": 5}, "fitnet": {"stages": "two"}, "layerwise": {"weights": "softmax"}}


def moving(name: str) -> Method:
    known = defaults(methods.find(name).options)
    return create(name, **{key: value for key, value in MOVING.items() if key in known}, **CHOSEN.get(name, {}))


def pictures() -> Split:
    random = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (STEPS * 8, 1, 8, 8), generator=random, dtype=torch.uint8)
    return Split(inputs, inputs.flatten(1)[:, :CLASSES].long().argmax(dim=1))


def resnet(widths: list[int]) -> nn.Module:
    return create_network(ResnetOptions(name="resnet", depth=8, widths=widths), (1, 8, 8), CLASSES).eval()


def pupil(name: str) -> nn.Module:
    if name == "deit":  # which needs two heads
        return create_network(VitOptions(name="deit", width=8, depth=1, heads=2), (1, 8, 8), CLASSES).eval()
    return resnet([2, 2, 3, 4])


def two_of(batches: Batches) -> Batch:
    example = next(batches.in_order(2))
    return replace(example, strong=example.inputs) if batches.strong else example


def training(name: str, **hparams: Any) -> tuple[Training, nn.Module]:
    """Three epochs of three steps, and the teacher that gives them."""
    method = moving(name)
    precision = Precision("fp32", torch.device("cpu"))
    normalization = Normalization(torch.tensor([128.0]), torch.tensor([1 / 64]))
    batches = Batches(pictures(), 8, normalization, Augmentation(1), seed=5, strong=method.strong)
    example = two_of(batches)
    torch.manual_seed(3)
    student, teacher = pupil(name), resnet([2, 3, 4, 5])
    with torch.no_grad():
        # What batch norm of a trained teacher has seen is not what it begins with.
        teacher.train()(example.inputs)
        teacher.eval()
        taps = [with_preactivations(each, default_taps(each), example.inputs) for each in (student, teacher)]
        student, taps[0] = method.redesign(student, taps[0], teacher, taps[1], example)
        tapped, taught = (
            Tapped(each, kinds.only(method.taps)) for each, kinds in zip((student.eval(), teacher), taps, strict=True)
        )
        method.build(tapped, taught if method.uses_teacher else tapped, example, batches.split.labels)
    return (
        Training(
            role="student",
            network=student.train(),
            method=method,
            student=tapped,
            teacher=Live(taught, precision) if method.uses_teacher else nobody,
            batches=batches,
            val=None,
            test=Batches(pictures(), 8, normalization, Augmentation(), seed=0),
            hparams=Hparams(epochs=EPOCHS, batch_size=8, lr=0.02, ema=0.7, **hparams),
            seed=5,
            precision=precision,
        ),
        teacher,
    )


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def without_clock(trained: Trained) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in trained.history]


def moved(module: nn.Module, before: dict[str, Tensor]) -> Iterable[str]:
    """Children of the module of which some weight is not what it was."""
    now = dict(module.named_parameters())
    return {name.partition(".")[0] for name, value in now.items() if not torch.equal(value, before[name])}


def assert_stopping_changes_no_bit(
    name: str, folder: Path, watcher: Callable[..., Any], moments: list[dict[str, int]], **hparams: Any
) -> None:
    plan, teacher = training(name, **hparams)
    taught, adapters = copied(teacher), copied(plan.method)
    whole = fit(plan, folder / "whole.pt", watcher(), Stop())
    assert_same(copied(teacher), taught)
    if plan.method.uses_teacher:
        assert not any(parameter.requires_grad or parameter.grad is not None for parameter in teacher.parameters())
    learning = {key.partition(".")[0] for key, value in plan.method.named_parameters() if value.requires_grad}
    assert moved(plan.method, adapters) == learning

    for number, moment in enumerate(moments):
        path, stopped, seen = folder / f"{number}.pt", watcher(**moment), watcher()
        with pytest.raises(Interrupted):
            fit(training(name, **hparams)[0], path, stopped, stopped.stop)
        torch.rand(11)
        again, _ = training(name, **hparams)
        rest = fit(again, path, seen, Stop())
        assert stopped.steps + seen.steps == EPOCHS * STEPS
        assert_same(copied(rest.network), copied(whole.network))
        assert_same(copied(again.network), copied(plan.network))
        assert_same(copied(again.method), copied(plan.method))
        assert without_clock(rest) == without_clock(whole)


@pytest.mark.parametrize("name", METHODS)
def test_stopping_within_and_after_an_epoch_changes_no_bit(name, watcher, tmp_path):
    assert_stopping_changes_no_bit(name, tmp_path, watcher, [{"stop_at_step": 5}, {"stop_at_epoch": 1}])


@pytest.mark.parametrize("name", sorted({"vid"} & set(METHODS)))
def test_nor_does_it_where_batches_go_through_in_parts(name, watcher, tmp_path):
    assert_stopping_changes_no_bit(name, tmp_path, watcher, [{"stop_at_step": 5}], accumulate=2, grad_clip=0.5)
