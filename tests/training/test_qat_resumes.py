"""Training with rounding: stopped and continued, it is, bit for bit, what it would have been."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from distill.config.schema import Hparams
from distill.data import Augmentation, Batches, Normalization, Split
from distill.methods import create
from distill.models import create as create_network
from distill.models.networks.cnn import CnnOptions
from distill.models.taps import NOTHING, Tapped
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.task import Training
from distill.training.teacher_outputs import Live


def pictures() -> Split:
    inputs = torch.randint(0, 256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return Split(inputs, inputs.flatten(1)[:, :3].long().argmax(dim=1))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return create_network(CnnOptions(name="cnn", channels=[3], hidden=5, dropout=0.3), (1, 8, 8), 3).eval()


def training() -> Training:
    """Three epochs of three steps."""
    method, precision = create("qat"), Precision("fp32", torch.device("cpu"))
    normalization = Normalization(torch.tensor([128.0]), torch.tensor([1 / 64]))
    batches = Batches(pictures(), 8, normalization, Augmentation(1), seed=5)
    student, _ = method.redesign(network(0), NOTHING, network(1), NOTHING, next(batches.in_order(2)))
    return Training(
        role="student",
        network=student,
        method=method,
        student=Tapped(student, NOTHING),
        teacher=Live(Tapped(network(1), NOTHING), precision),
        batches=batches,
        val=None,
        test=Batches(pictures(), 8, normalization, Augmentation(), seed=0),
        hparams=Hparams(epochs=3, batch_size=8, lr=0.02),
        seed=5,
        precision=precision,
    )


def test_stopping_within_an_epoch_changes_no_bit(watcher, tmp_path):
    def kept(trained: nn.Module) -> dict[str, Tensor]:
        return dict(create("qat").finish(trained, lambda most: torch.zeros(most, 1, 8, 8)).state_dict())

    whole = kept(fit(training(), tmp_path / "whole.pt", watcher(), Stop()).network)
    stopped, path = watcher(stop_at_step=5), tmp_path / "stopped.pt"
    with pytest.raises(Interrupted):
        fit(training(), path, stopped, stopped.stop)
    torch.rand(7)
    rest = kept(fit(training(), path, watcher(), Stop()).network)
    assert [name for name in whole if not torch.equal(rest[name], whole[name])] == []
