"""What methods make of examples without a label."""

import pytest
import torch
import torch.nn.functional as F

from distill.methods import Method, create, methods, names
from distill.methods.hard_labels import hard_labels
from distill.methods.pseudo_labels import chosen, sentence, told_of
from distill.types import Batch, Output

LABELS = torch.tensor([2, -1, 0, -1, -1, 1])
TRUTH = torch.tensor([2, 1, 0, 2, 2, 1])
STUDENT, TEACHER = (torch.randn(6, 3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
TAKES = {name: methods.find(name).factory for name in names() if methods.find(name).factory.unlabelled}
ON_LOGITS = [name for name, factory in TAKES.items() if not factory.taps and not factory.arranges()]
NEEDS_EVERY_LABEL = {"compose", "crd", "dkd", "nkd", "ofa", "tf_kd", "wkd_l"}


def batch(labels: torch.Tensor = LABELS) -> Batch:
    return Batch(torch.zeros(len(labels), 1), labels, torch.arange(len(labels)))


def with_labels(method: Method) -> Method:
    method.hard_labels = hard_labels("plain", LABELS, 3)
    return method


def test_hinton_counts_soft_targets_whole_where_no_label_stands_beside_them():
    T, alpha = 3.0, 0.7
    losses = with_labels(create("hinton", T=T, alpha=alpha))(Output(STUDENT), Output(TEACHER), batch())
    wanted = F.softmax(TEACHER / T, dim=1)
    kl = T**2 * F.kl_div(F.log_softmax(STUDENT / T, dim=1), wanted, reduction="none").sum(dim=1)
    known = LABELS >= 0
    torch.testing.assert_close(losses["soft"], (alpha * kl[known].sum() + kl[~known].sum()) / 6)
    hard = F.cross_entropy(STUDENT[known], LABELS[known])
    torch.testing.assert_close(losses["hard"], (1 - alpha) * hard)


def test_hinton_with_every_label_is_what_it_always_was():
    method = create("hinton", alpha=0.7)
    plain = method(Output(STUDENT), Output(TEACHER), batch(TRUTH))
    method.hard_labels = hard_labels("plain", TRUTH, 3)
    again = method(Output(STUDENT), Output(TEACHER), batch(TRUTH))
    assert all(torch.equal(plain[name], again[name]) for name in plain)


@pytest.mark.parametrize("name", ON_LOGITS)
def test_methods_that_take_examples_without_a_label_are_blind_to_what_it_would_be(name):
    with_truth, without = (with_labels(create(name)) for _ in range(2))
    shown = Output(STUDENT, strong=Output(STUDENT + 1))
    taught = Output(TEACHER, strong=Output(TEACHER - 1))
    losses = with_truth(shown, taught, batch())
    assert all(value.isfinite() for value in losses.values())
    relabelled = torch.where(LABELS < 0, LABELS, TRUTH)
    again = without(shown, taught, batch(relabelled))
    assert all(torch.equal(losses[term], again[term]) for term in losses)


def test_methods_that_read_labels_themselves_are_marked():
    assert not NEEDS_EVERY_LABEL & set(TAKES)
    assert {"rkd", "at", "hinton", "self_training"} <= set(TAKES)


def test_pseudo_labels_are_told_by_share_and_precision():
    hidden = LABELS < 0
    told = torch.tensor([0, 1, 0, 2, 0, 0])
    confidence = torch.tensor([0.99, 0.9, 0.99, 0.95, 0.96, 0.99])
    joins = chosen(confidence, hidden, 0.95)
    assert joins.nonzero().flatten().tolist() == [3, 4]
    found = told_of(told, joins, hidden, TRUTH)
    assert found == {
        "unlabelled": 3,
        "joined": 2,
        "share": 2 / 3,
        "precision": 0.5,
        "precision_of_all": 2 / 3,
        "by_class": {"0": {"joined": 1, "precision": 0.0}, "2": {"joined": 1, "precision": 1.0}},
    }
    assert sentence(found) == "2 of 3 unlabelled examples joined (66.7%), 50.0% of them with the right label"


def test_without_truth_there_is_no_precision():
    hidden = LABELS < 0
    found = told_of(LABELS.clamp(min=0), hidden, hidden, None)
    assert found == {"unlabelled": 3, "joined": 3, "share": 1.0}
    assert sentence(found) == "3 of 3 unlabelled examples joined (100.0%)"
    nothing = told_of(LABELS.clamp(min=0), hidden & False, hidden, TRUTH)
    assert nothing["precision"] is None
    assert sentence(nothing) == "none of 3 unlabelled examples joined"
