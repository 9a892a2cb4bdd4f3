"""Successive halving, the Pareto front, and what is chosen by what."""

from dataclasses import dataclass
from typing import Any

import pytest

from distill.search.outcome import Outcome, Searched, Trial
from distill.search.rungs import epochs_of, front, survivors
from distill.search.space import Candidate


@dataclass
class Point:
    cost: float
    reached: float


@pytest.mark.parametrize(
    ("full", "halving", "rungs"),
    [(18, 3, [2, 6, 18]), (10, 3, [2, 4, 10]), (2, 3, [1, 2]), (1, 3, [1]), (8, 2, [2, 4, 8]), (8, 1, [8])],
)
def test_each_rung_is_a_part_of_the_next(full, halving, rungs):
    assert epochs_of(full, halving) == rungs


def test_a_rung_that_would_end_in_the_warmup_is_left_out():
    assert epochs_of(18, 3, warmup=2.0) == [6, 18]


def test_the_front_holds_what_nothing_beats_the_cheapest_first():
    #            best         beaten by 0    cheapest      equal to 2     as good as 2, dearer
    points = [Point(5, 0.9), Point(6, 0.8), Point(1, 0.5), Point(1, 0.5), Point(2, 0.5)]
    assert front(points) == [2, 3, 0]


def test_a_third_goes_on_first_those_that_no_cheaper_one_beats():
    points = [
        Point(9, 0.90),
        Point(10, 0.89),
        Point(1, 0.5),
        Point(2, 0.6),
        Point(3, 0.4),
        Point(4, 0.55),
        Point(5, 0.3),
    ]
    # 0, 3 and 2 are the front, although 1 is more accurate than 3: three of seven go on.
    assert survivors(points, 3) == [0, 2, 3]


def test_where_the_front_is_too_large_its_most_accurate_go_on():
    points = [Point(cost, cost / 10) for cost in (3, 1, 2, 4)]
    assert survivors(points, 3) == [0, 3]


def test_where_it_is_too_small_those_come_next_that_only_it_beats():
    points = [Point(1, 0.9), Point(2, 0.5), Point(3, 0.4), Point(4, 0.3)]
    assert survivors(points, 2) == [0, 1]


def trial(strategy: str, width: int, val: float, test: float, epochs: int, **more: Any) -> Trial:
    candidate = Candidate("mlp", "mlp", {"widths": [width]}, {})
    costs = {"params": width, "flops": 2 * width, "latency_ms": 0.1}
    return Trial(strategy, 1, candidate, "params", epochs, val, test, costs, 1.0, f"{width}", **more)


def outcome(*trials: Trial) -> Outcome:
    names = dict.fromkeys(trial.strategy for trial in trials)
    searches = [Searched(name, [one for one in trials if one.strategy == name], {}, 20) for name in names]
    return Outcome("mlp", {"params": 100}, "params", [2, 6], 100, searches, ["method=dkd", "seed=4"], 4)


def test_the_winner_is_chosen_by_validation_among_those_trained_in_full():
    found = outcome(
        trial("random", 10, 0.80, 0.90, 6),  # better on test, which chooses nothing
        trial("random", 20, 0.85, 0.70, 6),
        trial("random", 30, 0.99, 0.99, 2, stopped=True),
    )
    assert found.winner.label == "mlp widths=20"
    assert [one.label for one in found.front] == ["mlp widths=10", "mlp widths=20"]
    tests = {row["candidate"]: row["test_accuracy"] for row in found.rows()}
    assert tests == {"mlp widths=10": 0.90, "mlp widths=20": 0.70, "mlp widths=30": None}


def test_of_equals_the_cheaper_one_wins():
    assert outcome(trial("random", 20, 0.8, 0.8, 6), trial("random", 10, 0.8, 0.7, 6)).winner.cost == 10


def test_a_network_that_both_strategies_found_stands_once_on_the_front():
    found = outcome(trial("random", 10, 0.8, 0.8, 6), trial("tpe", 10, 0.8, 0.8, 6), trial("tpe", 20, 0.9, 0.9, 6))
    assert [(one.label, found.found_by(one)) for one in found.front] == [
        ("mlp widths=10", "random, tpe"),
        ("mlp widths=20", "tpe"),
    ]


def test_the_control_is_told_with_its_cost_and_the_sampling_error():
    found = outcome(trial("random", 10, 0.8, 0.8, 6), trial("tpe", 20, 0.9, 0.9, 6))
    told = found.sentences()[1]
    assert "TPE's best has 90.00 %, the best at random 80.00 %" in told
    assert "20 epochs each" in told
    assert "+10.00 points" in told
    assert "100 validation examples is ± 4.00" in told  # sqrt(.8 * .2 / 100)


def test_the_next_command_repeats_the_winner_on_seeds_that_had_no_part_in_the_choice():
    found = outcome(trial("random", 10, 0.8, 0.8, 6))
    assert found.command == "distill train -m method=dkd model@student=mlp 'student.widths=[10]' seed=5,6,7"
