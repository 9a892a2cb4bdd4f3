"""What formulas imply for losses that belong to no method, where authors' numbers do not say it."""

import math

import pytest
import torch

from distill.methods.dafl import class_balance_loss
from distill.methods.dml import mutual_loss
from distill.methods.gkd import generalized_jsd_loss
from distill.methods.inversion import competition_loss, statistics_loss
from distill.methods.mean_teacher import average_decay, consistency_loss, ramp_up
from distill.methods.minilm import relation_loss
from distill.methods.one import Gate, branch_loss, ensemble_logits


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_mutual_learning_is_symmetric_and_has_no_gradient_for_the_peers():
    first, second, third = (drawn(5, 4, seed=seed).requires_grad_() for seed in (1, 2, 3))
    torch.testing.assert_close(mutual_loss(first, [second, third]), mutual_loss(first, [third, second]))
    mutual_loss(first, [second, third]).backward()
    assert (second.grad, third.grad) == (None, None)
    assert mutual_loss(first, [first + 3]).item() == pytest.approx(0, abs=1e-6)


def test_the_competition_term_is_1_where_both_agree_and_1_minus_ln_2_where_they_share_nothing():
    same = drawn(6, 5)
    assert competition_loss(same, same + 7).item() == pytest.approx(1)
    apart = competition_loss(torch.tensor([[900.0, 0.0]]), torch.tensor([[0.0, 900.0]]))
    assert apart.item() == pytest.approx(1 - math.log(2))
    # At T = 1: 3/4 : 1/4 and 1/4 : 3/4, whose middle is 1/2 : 1/2.
    logits = torch.tensor([[math.log(3), 0.0]])
    by_hand = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert competition_loss(logits, logits.flip(1), T=1.0).item() == pytest.approx(1 - by_hand)


def test_statistics_of_a_batch_that_matches_them_cost_nothing_and_the_gradient_is_finite():
    inputs = drawn(8, 3, 4, 4).requires_grad_()
    flat = inputs.detach().transpose(0, 1).flatten(1)
    loss = statistics_loss(inputs, flat.mean(dim=1), flat.var(dim=1, correction=0))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert inputs.grad is not None
    assert inputs.grad.isfinite().all()


@pytest.mark.parametrize("gap", [0.0, 500.0])
def test_class_balance_is_least_where_all_classes_come_as_often_and_finite_where_one_never_does(gap):
    balanced = class_balance_loss(torch.eye(4) * 500)
    assert balanced.item() == pytest.approx(-math.log(4))
    logits = torch.tensor([[0.0, -gap], [0.0, -gap]]).requires_grad_()
    loss = class_balance_loss(logits)
    loss.backward()
    assert loss.item() == pytest.approx(0 if gap else -math.log(2))
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_half_and_half_divergence_is_symmetric_and_ignored_tokens_do_not_count():
    first, second = drawn(2, 3, 7, seed=1), drawn(2, 3, 7, seed=2)
    torch.testing.assert_close(generalized_jsd_loss(first, second), generalized_jsd_loss(second, first))
    labels = torch.tensor([[1, -100, 2], [-100, 0, -100]])
    kept = generalized_jsd_loss(first, second, labels)
    second[labels == -100] = 50 * drawn(3, 7)
    torch.testing.assert_close(generalized_jsd_loss(first, second, labels), kept)
    assert generalized_jsd_loss(first, second, torch.full((2, 3), -100)).item() == 0


def test_gates_share_one_ensemble_which_learns_nothing_from_its_branches():
    branches = [drawn(6, 5, seed=seed).requires_grad_() for seed in (1, 2)]
    shares = Gate(3, 2)(drawn(6, 3))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(6))
    ensemble = ensemble_logits(branches, shares)
    (reached,) = torch.autograd.grad(branch_loss(branches, ensemble), shares, materialize_grads=True)
    assert not reached.any()
    torch.testing.assert_close(ensemble_logits([branches[0]] * 2, shares), branches[0])


def test_consistency_is_bounded():
    sure = torch.tensor([[900.0, 0.0, 0.0, 0.0]])
    assert consistency_loss(sure, sure.roll(1, dims=1)).item() == pytest.approx(2 / 4)


def test_the_average_follows_quickly_at_first_and_its_weight_rises_to_1():
    assert [average_decay(step, 0.97) for step in (1, 3, 1000)] == [0.5, 0.75, 0.97]
    assert [ramp_up(epoch, 4) for epoch in (0, 2, 4, 9)] == pytest.approx([math.exp(-5), math.exp(-1.25), 1, 1])


def test_padded_tokens_change_no_relation():
    student, teacher = (drawn(2, 3, 5, width, seed=width) for width in (4, 8))
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 0]])
    short = student[:, :, :4], teacher[:, :, :4]
    whole = relation_loss((short[0], short[0]), (short[1], short[1]))
    torch.testing.assert_close(relation_loss((student, student), (teacher, teacher), mask), whole)
    assert relation_loss((student, student), (student, student), mask).item() == pytest.approx(0, abs=1e-6)
