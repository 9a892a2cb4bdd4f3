"""Adaptation at test time: what it reads, what moves, what it gains, and that nothing of it remains."""

import copy

import pytest
import torch
from torch import nn

from distill.data import Normalization, Split
from distill.errors import ConfigError
from distill.training.adaptation import AdaptOptions, adapted_logits

CPU = torch.device("cpu")
PLAIN = Normalization(torch.zeros(1), torch.ones(1))


def network(norm: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    hidden = [nn.Linear(16, 24), *([nn.BatchNorm1d(24)] if norm else []), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(24, 3)).eval()


def pictures(count: int = 50) -> Split:
    random = torch.Generator().manual_seed(4)
    inputs = torch.randint(0, 256, (count, 1, 4, 4), generator=random).byte()
    return Split(inputs, torch.randint(0, 3, (count,), generator=random))


def adapted(net: nn.Module, split: Split, **options) -> torch.Tensor:
    return adapted_logits(net, split, PLAIN, AdaptOptions(**{"batch_size": 20, **options}), CPU)


@pytest.mark.parametrize("norm", [True, False])
def test_labels_have_no_influence(norm):
    split = pictures()
    permuted = Split(split.inputs, split.labels.flip(0))
    assert torch.equal(adapted(network(norm), split), adapted(network(norm), permuted))


def test_nothing_remains_and_a_second_call_gives_the_same():
    net = network()
    before = copy.deepcopy(net.state_dict())
    generators = torch.get_rng_state()
    first = adapted(net, pictures(), steps=2, lr=0.1)
    after = net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(module.training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), generators)
    assert torch.equal(first, adapted(net, pictures(), steps=2, lr=0.1))
    assert not torch.equal(first, adapted(net, pictures(), steps=2, lr=0.1, seed=1))


def test_a_batch_is_answered_before_it_is_learned_from():
    """What comes in one batch is answered as without any step; what comes later is not."""
    net, split = network(norm=False), pictures()
    known = net(split.tensor.float()).log_softmax(1)
    assert torch.allclose(adapted(net, split, batch_size=50, lr=0.1), known, atol=1e-5)
    later = (adapted(net, split, lr=0.1) - known).abs().amax(1) > 1e-3
    assert int(later.sum()) == 30  # of 50 in batches of 20
    assert torch.allclose(adapted(net, split, steps=0), known, atol=1e-5)


def test_batch_norm_without_a_step_is_the_statistics_of_the_batch():
    net, split = network(), pictures(20)
    by_hand = copy.deepcopy(net)
    by_hand[2].train()
    expected = by_hand(split.tensor.float()).log_softmax(1)
    assert torch.allclose(adapted(net, split, steps=0), expected, atol=1e-5)
    assert not torch.allclose(expected, net(split.tensor.float()).log_softmax(1), atol=0.1)


def test_by_default_only_normalisation_moves():
    split = pictures()
    assert torch.equal(adapted(network(), split, lr=0.1), adapted(network(), split, lr=0.1, parameters="norm"))
    assert not torch.equal(adapted(network(), split, lr=0.1), adapted(network(), split, lr=0.1, parameters="all"))
    plain = network(norm=False)
    assert torch.equal(adapted(plain, split, lr=0.1), adapted(plain, split, lr=0.1, parameters="all"))


def test_a_teacher_that_does_not_move_answers_as_the_stored_network():
    """Answers are the mean of both; with decay 1 the teacher's half is the stored network's."""
    net, split = network(norm=False), pictures()
    known = net(split.tensor.float()).log_softmax(1)
    still, moving = (adapted(net, split, lr=0.1, decay=decay) for decay in (1.0, 0.0))
    students = 2 * still - known
    assert torch.allclose(students.exp().sum(1), torch.ones(50), atol=1e-4)
    assert not torch.allclose(moving, still, atol=1e-3)
    assert torch.allclose(moving.exp().sum(1), torch.ones(50), atol=1e-4)  # with decay 0 both are one


def test_statistics_of_the_batch_undo_a_change_of_scale():
    """Inputs that are all multiplied and moved are the same to batch norm; without it they are not."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3)).eval()
    split = Split(torch.randn(60, 16, generator=torch.Generator().manual_seed(5)), torch.zeros(60).long())
    moved = Split(5 * split.tensor + 3, split.labels)
    assert torch.allclose(
        adapted(net, split, steps=0, batch_size=60), adapted(net, moved, steps=0, batch_size=60), atol=1e-3
    )


@pytest.mark.parametrize(
    ("net", "count", "options", "sentence"),
    [
        (network(norm=False), 9, {"parameters": "norm"}, "adapt.parameters=norm is not allowed"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), 9, {}, "no parameters that could be trained"),
        (network(), 1, {}, "two test examples"),
    ],
)
def test_what_cannot_adapt_is_refused(net, count, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        adapted(net, pictures(count), **options)
