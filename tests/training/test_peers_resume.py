"""Networks that are trained as one: stopped and continued, each is, bit for bit, what it would have been."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.config.schema import Hparams
from distill.data import Augmentation, Batches, Normalization, Split
from distill.methods import create
from distill.models import create as create_network
from distill.models.ensemble import Ensemble
from distill.models.networks.resnet import ResnetOptions
from distill.models.taps import NOTHING, Tapped, default_taps
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.task import Training
from distill.training.teacher_outputs import nobody

EPOCHS, STEPS = 3, 3
# Options, and how many networks are trained as one.
FORMS: dict[str, tuple[str, dict[str, Any], int]] = {
    "dml": ("dml", {"peers": 3, "warmup": 0.67}, 3),
    "online": ("online", {"warmup": 0.67, "T_schedule": "linear", "T_end": 1.5}, 2),
    "ema": ("ema", {"decay": 0.7, "ramp_share": 0.67}, 1),
    "temporal": ("ema", {"form": "temporal", "ramp_share": 0.67}, 1),
    "one": ("one", {"branches": 3, "ramp_share": 0.67}, 1),
}


def pictures() -> Split:
    inputs = torch.randint(0, 256, (STEPS * 8, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return Split(inputs, inputs.flatten(1)[:, :3].long().argmax(dim=1))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return create_network(ResnetOptions(name="resnet", depth=8, widths=[2, 2, 3, 4]), (1, 8, 8), 3).eval()


def training(form: str) -> Training:
    name, options, count = FORMS[form]
    method = create(name, **options)
    precision = Precision("fp32", torch.device("cpu"))
    normalization = Normalization(torch.tensor([128.0]), torch.tensor([1 / 64]))
    batches = Batches(pictures(), 8, normalization, Augmentation(1), seed=5)
    example = next(batches.in_order(2))
    student = network(0) if count == 1 else Ensemble([network(seed) for seed in range(count)])
    torch.manual_seed(3)
    with torch.no_grad():
        student, taps = method.redesign(student.eval(), default_taps(student), None, NOTHING, example)
        tapped = Tapped(student.eval(), taps.only(method.taps))
        method.build(tapped, tapped, example, batches.split.labels)
    return Training(
        role="student",
        network=student.train(),
        method=method,
        student=tapped,
        teacher=nobody,
        batches=batches,
        val=None,
        test=Batches(pictures(), 8, normalization, Augmentation(), seed=0),
        hparams=Hparams(epochs=EPOCHS, batch_size=8, lr=0.02),
        seed=5,
        precision=precision,
    )


def state(plan: Training) -> dict[str, Tensor]:
    modules = {"network": plan.network, "method": plan.method}
    return {f"{of}.{name}": value.clone() for of, one in modules.items() for name, value in one.state_dict().items()}


@pytest.mark.parametrize("form", FORMS)
def test_stopping_within_and_after_an_epoch_changes_no_bit(form, watcher, tmp_path):
    plan = training(form)
    before = state(plan)
    whole = fit(plan, tmp_path / "whole.pt", watcher(), Stop())
    after = state(plan)
    untouched = [name for name in after if name.startswith("network") and torch.equal(before[name], after[name])]
    assert untouched == []
    for moment in ({"stop_at_step": 5}, {"stop_at_epoch": 1}):
        path, stopped, seen = tmp_path / f"{moment}.pt", watcher(**moment), watcher()
        with pytest.raises(Interrupted):
            fit(training(form), path, stopped, stopped.stop)
        torch.rand(11)
        again = training(form)
        rest = fit(again, path, seen, Stop())
        assert stopped.steps + seen.steps == EPOCHS * STEPS
        assert {name for name, value in state(again).items() if not torch.equal(value, after[name])} == set()
        assert [{**row, "seconds": 0} for row in rest.history] == [{**row, "seconds": 0} for row in whole.history]


def test_the_average_has_statistics_of_its_own_and_no_gradient(watcher, tmp_path):
    plan = training("ema")
    fit(plan, tmp_path / "whole.pt", watcher(), Stop())
    student, average = plan.network.get_submodule("networks.0"), plan.network.get_submodule("networks.1")
    assert not any(parameter.requires_grad for parameter in average.parameters())
    for name in ("bn1.running_mean", "bn1.running_var"):
        assert not torch.equal(student.get_buffer(name), average.get_buffer(name))
    assert int(average.get_buffer("bn1.num_batches_tracked")) == EPOCHS * STEPS
    assert int(plan.method.get_buffer("steps")) == EPOCHS * STEPS


def test_answers_are_remembered_of_every_example_once_an_epoch(watcher, tmp_path):
    plan = training("temporal")
    fit(plan, tmp_path / "whole.pt", watcher(), Stop())
    assert plan.method.get_buffer("seen").tolist() == [EPOCHS] * STEPS * 8
    sums = plan.method.get_buffer("answers").sum(dim=1)
    torch.testing.assert_close(sums, torch.full((STEPS * 8,), 1 - 0.6**EPOCHS))
