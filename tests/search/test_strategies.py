"""How candidates are proposed, and what the budget says of them."""

import sys

import pytest
import torch

from distill.config.schema import Hparams
from distill.errors import ConfigError
from distill.models.networks.mlp import MlpOptions
from distill.search.costs import Costs, judge
from distill.search.space import load
from distill.search.strategies import RandomStrategy, TpeStrategy, require


def labels(strategy, count: int, reached=lambda candidate: 0.5) -> list[str]:
    found = []
    for _ in range(count):
        proposal = strategy.propose()
        proposal.told(reached(proposal.candidate))
        found.append(proposal.candidate.label())
    return found


def test_a_seed_proposes_the_same_candidates_again_and_another_seed_others():
    space = load("conv")
    first = labels(RandomStrategy(space, 0), 10)
    assert labels(RandomStrategy(space, 0), 10) == first
    assert labels(RandomStrategy(space, 1), 10) != first
    assert len(set(first)) == 10


def test_tpe_begins_with_the_random_candidates_and_then_goes_its_own_way():
    pytest.importorskip("optuna")
    space = load("conv")
    ours, control = (labels(one, 12) for one in (TpeStrategy(space, 0, 12), RandomStrategy(space, 0)))
    assert ours[:6] == control[:6]
    assert not set(ours[6:]) & set(control[6:])
    assert labels(TpeStrategy(space, 0, 12), 12) == ours


def test_tpe_proposes_better_candidates_once_it_knows_some():
    pytest.importorskip("optuna")
    space = load("mlp")

    def reached(candidate) -> float:
        return sum(candidate.chosen["widths"]) / 1536  # the largest is the best

    def mean(strategy) -> float:
        found = []
        for _ in range(40):
            proposal = strategy.propose()
            proposal.told(reached(proposal.candidate))
            found.append(reached(proposal.candidate))
        return sum(found[20:]) / 20

    assert mean(TpeStrategy(space, 0, 40)) > 2 * mean(RandomStrategy(space, 0))


def test_tpe_learns_what_is_over_the_budget():
    pytest.importorskip("optuna")

    def share_within(strategy) -> float:
        within = []
        for _ in range(60):
            proposal = strategy.propose()
            small = max(proposal.candidate.chosen["widths"]) <= 24
            proposal.told(0.5 if small else -max(proposal.candidate.chosen["widths"]) / 24)
            within.append(small)
        return sum(within[20:]) / 40

    space = load("mlp")
    assert share_within(TpeStrategy(space, 0, 4)) > 2 * share_within(RandomStrategy(space, 0))


def test_without_optuna_the_extra_is_named_and_random_needs_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    require(["random"], "random")
    with pytest.raises(ConfigError) as refused:
        require(["random", "tpe"], "both")
    assert str(refused.value) == (
        "strategy=both needs an extra: pip install 'distill[optuna]'; strategy=random works without it."
    )


def costs(widths: list[int]) -> Costs:
    return Costs(MlpOptions(name="mlp", widths=widths), (1, 8, 8), 10, torch.device("cpu"), Hparams())


def unexpected(measure) -> float:
    raise AssertionError("nothing was to be timed")


def test_a_candidate_is_held_to_every_limit_at_its_cost():
    network = costs([32])  # 65 * 32 + 33 * 10 parameters; 2 * (64 * 32 + 32 * 10) operations
    assert judge(network, {"params": 2410, "flops": 4736}, unexpected).over is None
    assert judge(network, {"params": 2409}, unexpected).over == "params"
    assert judge(network, {"params": 2410, "flops": 4735}, unexpected).over == "flops"
    assert judge(network, {}, unexpected).costs == {"params": 2410, "flops": 4736}


def test_latency_is_timed_last_and_only_for_a_limit_of_its_own():
    assert judge(costs([8]), {"latency_ms": 0.5}, lambda measure: 0.4).costs["latency_ms"] == 0.4
    assert judge(costs([8]), {"latency_ms": 0.5}, lambda measure: 0.6).over == "latency_ms"
    assert judge(costs([8]), {"latency_ms": 0.5, "params": 5}, unexpected).over == "params"
    assert costs([8]).latency_ms > 0
