import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from distill.methods import create
from distill.methods.hard_labels import HardLoss, hard_labels
from distill.types import Batch, Mix, Output

LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])
LOGITS = torch.randn(10, 3, generator=torch.Generator().manual_seed(1))
NONE = torch.tensor(-1)


def batch(labels: Tensor = LABELS, mix: Mix | None = None) -> Batch:
    return Batch(torch.zeros(len(labels), 1), labels, torch.arange(len(labels)), mix)


def loss(kind: HardLoss, logits: Tensor = LOGITS, shown: Batch | None = None, learned: Tensor = LABELS) -> Tensor:
    method = create("none")
    method.hard_labels = hard_labels(kind, learned, 3)
    return method.hard_loss(logits, batch() if shown is None else shown)


def test_plain_labels_need_nothing_to_be_made_up_for():
    assert hard_labels("plain", LABELS, 3) is None


def test_weights_make_every_class_count_alike():
    # The mean over classes of the mean over each class's examples.
    each = F.cross_entropy(LOGITS, LABELS, reduction="none")
    expected = torch.stack([each[label == LABELS].mean() for label in range(3)]).mean()
    torch.testing.assert_close(loss("weighted"), expected)
    balanced = torch.arange(9) % 3
    torch.testing.assert_close(
        loss("weighted", LOGITS[:9], batch(balanced), balanced), F.cross_entropy(LOGITS[:9], balanced)
    )


def test_adjusted_logits_are_those_of_menon_et_al():
    # Equation 10 with tau = 1: -log(pi_y e^{f_y} / sum_c pi_c e^{f_c}).
    prior = torch.tensor([0.6, 0.3, 0.1])
    scores = prior * LOGITS.exp()
    expected = -(scores[torch.arange(10), LABELS] / scores.sum(dim=1)).log().mean()
    torch.testing.assert_close(loss("logit_adjusted"), expected)


def test_a_network_that_knows_nothing_but_the_shares_has_its_least_adjusted_loss_where_it_favours_no_class():
    logits = torch.zeros(1, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss("logit_adjusted", logits.expand(10, 3)), logits)
    assert gradient.abs().max() < 1e-6
    (plain,) = torch.autograd.grad(loss("plain", logits.expand(10, 3)), logits)
    assert plain.abs().max() > 0.1


@pytest.mark.parametrize("kind", ["weighted", "logit_adjusted"])
def test_labels_of_mixed_examples_count_each_as_their_class_does(kind):
    other = LABELS.flip(0)
    mixed = batch(mix=Mix(other, torch.full((10,), 0.25)))
    expected = 0.25 * loss(kind) + 0.75 * loss(kind, shown=batch(other))
    torch.testing.assert_close(loss(kind, shown=mixed), expected)


def test_smoothing_is_that_of_plain_labels_where_classes_are_equal():
    balanced = torch.arange(9) % 3
    for kind in ("weighted", "logit_adjusted"):
        method = create("none")
        method.hard_labels, method.label_smoothing = hard_labels(kind, balanced, 3), 0.1
        expected = F.cross_entropy(LOGITS[:9], balanced, label_smoothing=0.1)
        torch.testing.assert_close(method.hard_loss(LOGITS[:9], batch(balanced)), expected)


def test_a_class_without_examples_leaves_numbers_finite():
    for kind in ("weighted", "logit_adjusted"):
        method = create("none")
        method.hard_labels, method.label_smoothing = hard_labels(kind, LABELS, 4), 0.1
        assert method.hard_loss(torch.randn(10, 4), batch()).isfinite()


def test_examples_without_a_label_are_left_out_and_the_others_count_for_them():
    some = torch.where(torch.arange(10) % 2 == 0, LABELS, NONE)
    known = some >= 0
    torch.testing.assert_close(
        loss("plain", shown=batch(some), learned=some), F.cross_entropy(LOGITS[known], LABELS[known])
    )
    # Parts of a batch add up to the whole, however the labels fall.
    parts = [loss("plain", LOGITS[rows], batch(some[rows]), some) for rows in (slice(0, 3), slice(3, 10))]
    whole = loss("plain", shown=batch(some), learned=some)
    torch.testing.assert_close((3 * parts[0] + 7 * parts[1]) / 10, whole)


def test_a_batch_without_labels_has_no_hard_loss():
    logits = LOGITS[:4].clone().requires_grad_()
    found = loss("plain", logits, batch(NONE.expand(4)), torch.cat([LABELS, NONE.expand(30)]))
    assert found == 0
    found.backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_composition_hands_them_on():
    method = create("compose", terms="hinton+at")
    method.hard_labels = hard_labels("logit_adjusted", LABELS, 3)
    method.start_epoch(0, 1)
    features = tuple(torch.randn(10, 2, 3, 3) for _ in range(2))
    found = method(Output(LOGITS, features), Output(LOGITS, features), batch())
    torch.testing.assert_close(found["hard"], loss("logit_adjusted"))
