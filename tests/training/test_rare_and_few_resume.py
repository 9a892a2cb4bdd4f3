"""Balanced batches, weighted labels and pseudo-labels: stopped and continued is, bit for bit, never stopped."""

import pytest
import torch

from distill.data import Augmentation, Batches, Normalization, Split
from distill.data.split import HIDDEN
from distill.methods import Method, create
from distill.methods.hard_labels import hard_labels
from distill.models import create as create_network
from distill.models.networks.mlp import MlpOptions
from distill.models.taps import Tapped
from distill.training.fit import fit
from distill.training.interrupt import Interrupted, Stop
from distill.training.precision import Precision
from distill.training.teacher_outputs import Live

PLAIN = Normalization(torch.tensor([128.0]), torch.tensor([1 / 64]))
FP32 = Precision("fp32", torch.device("cpu"))


def learned(split: Split, *, by_class: bool = False) -> Batches:
    return Batches(split, 8, PLAIN, Augmentation(1), seed=5, by_class=by_class)


def tailed() -> Split:
    inputs = torch.randint(0, 256, (60, 1, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    split = Split(inputs, inputs.flatten(1)[:, :3].long().argmax(dim=1))
    rare = split.labels == split.labels.mode().values
    return split.take((~rare | (torch.arange(60) % 4 == 0)).nonzero().flatten())


def method_of(kind: str) -> tuple[Method, Batches]:
    split = tailed()
    if kind == "balanced":
        return create("none"), learned(split, by_class=True)
    if kind in ("weighted", "logit_adjusted"):
        method = create("none")
        method.hard_labels = hard_labels(kind, split.labels, 3)  # pyright: ignore[reportArgumentType]
        return method, learned(split)
    few = Split(split.inputs, torch.where(torch.arange(len(split)) % 3 == 0, split.labels, torch.tensor(HIDDEN)))
    if kind == "unlabelled":
        method = create("hinton")
        method.hard_labels = hard_labels("plain", few.labels, 3)
        return method, learned(few, by_class=True)
    method = create("self_training", threshold=0.4, soft=True, warmup=0.5)
    few = method.examples(few, lambda: teacher()(next(learned(few).in_order(60))).logits)
    return method, learned(few)


def teacher() -> Live:
    torch.manual_seed(11)
    network = create_network(MlpOptions(name="mlp", widths=[9]), (1, 4, 4), 3)
    return Live(Tapped(network.eval()), FP32)


@pytest.mark.parametrize("kind", ["balanced", "weighted", "logit_adjusted", "unlabelled", "self_training"])
def test_stopping_within_and_after_an_epoch_changes_no_bit(kind, training, watcher, tmp_path):
    def made():
        method, batches = method_of(kind)
        return training(method=method, batches=batches, teacher=teacher(), dropout=0.3)

    whole = fit(made(), tmp_path / "whole.pt", watcher(), Stop())
    for number, moment in enumerate(({"stop_at_step": len(made().batches) + 2}, {"stop_at_epoch": 1})):
        path, stopped = tmp_path / f"{number}.pt", watcher(**moment)
        with pytest.raises(Interrupted):
            fit(made(), path, stopped, stopped.stop)
        torch.rand(7)
        rest = fit(made(), path, watcher(), Stop())
        for name, value in whole.network.state_dict().items():
            assert torch.equal(rest.network.state_dict()[name], value)
        losses = [[row["loss"] for row in each.history] for each in (whole, rest)]
        assert losses[0] == losses[1]


def test_training_accuracy_is_that_of_labelled_examples(training, watcher, tmp_path):
    method, batches = method_of("unlabelled")
    rows = fit(
        training(method=method, batches=batches, teacher=teacher()), tmp_path / "c.pt", watcher(), Stop()
    ).history
    labelled = int((batches.split.labels != HIDDEN).sum())
    assert labelled < len(batches.split)
    for row in rows:
        assert row["train_accuracy"] * labelled == pytest.approx(round(row["train_accuracy"] * labelled))
        assert row["train_accuracy"] <= 1
