"""Networks grouped by any keys: means, deviations and intervals of each cell."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.results import grouped
from distill.results.collect import Collected, collect
from distill.results.grouping import Cell, group

from .conftest import three

Leave = Callable[..., Path]

# Student accuracies in % by (T, alpha, seed).
REACHED = {(T, alpha, seed): 90 + T + 2 * alpha + 0.5 * seed for T in (1, 4) for alpha in (0.5, 1.0) for seed in (0, 1)}


@pytest.fixture
def found(tmp_path: Path, leave: Leave) -> Collected:
    for i, ((T, alpha, seed), reached) in enumerate(REACHED.items()):
        rows = three(reached / 100, T=float(T), alpha=alpha, seed=seed)
        rows[2]["latency_ms"] = 1.0 if seed else None
        overrides = {"T": str(T), "alpha": str(alpha), "seed": str(seed), "hparams.student.lr": f"0.{T}", "wd": "7"}
        leave(f"s/{i}", rows, overrides)
    return collect([tmp_path])


def students(cells: tuple[Cell, ...]) -> list[Cell]:
    return [cell for cell in cells if cell.role == "student"]


def test_each_cell_is_mean_and_deviation_over_seeds_each_the_mean_of_its_networks(found: Collected):
    made = group(found, ["T"], ["accuracy"])
    assert made.pooled == ("alpha", "seed", "hparams.student.lr")
    for cell, T in zip(students(made.cells), (1, 4), strict=True):
        # Alphas .5 and 1 add 1 and 2 points: 1.5 in both seeds, of which the second adds half a point.
        own = [(90 + T + 1.5 + 0.5 * seed) / 100 for seed in (0, 1)]
        (accuracy,) = cell.measures
        assert cell.keys == (T,)
        assert (cell.networks, cell.seeds, accuracy.n) == (4, 2, 2)
        assert accuracy.mean == pytest.approx(statistics.mean(own))
        assert accuracy.std == pytest.approx(statistics.stdev(own))
        assert min(own) <= accuracy.low < accuracy.high <= max(own)
    fields, about = grouped.table(made)
    assert about == (
        "Mean ± standard deviation over n seeds, each the mean of its 2 networks, and the mean's 95 % interval, "
        "taken over alpha and hparams.student.lr."
    )
    assert [cell.plain for field in fields if field.heading == "n" for cell in field.cells] == ["2", "2", "2", "2"]


def test_seeds_of_unequal_numbers_of_networks_have_no_interval_and_it_is_said_why(tmp_path: Path, leave: Leave):
    for i, (alpha, seed) in enumerate([(0.5, 0), (0.5, 1), (1.0, 0)]):
        leave(f"s/{i}", three(0.9 + 0.01 * i, alpha=alpha, seed=seed))
    made = group(collect([tmp_path]), ["method"], [])
    (cell,) = students(made.cells)
    # Seed 0 reached 90 and 92 %, seed 1 91 %.
    assert cell.measures[0].mean == pytest.approx(0.91)
    assert (cell.networks, cell.seeds) == (3, 2)
    assert math.isnan(cell.measures[0].low)
    leave("s/3", three(0.99, alpha=1.0, seed=1))
    even = group(collect([tmp_path]), ["method"], [])
    assert not math.isnan(students(even.cells)[0].measures[0].low)
    leave("s/4", three(0.97, alpha=0.7, seed=0))
    fields, about = grouped.table(group(collect([tmp_path]), ["method"], []))
    assert about.endswith("; no interval where the seeds have unequal numbers of networks.")
    assert "each the mean of its networks" in about
    assert not [field for field in fields if "interval" in field.heading]


def test_of_one_seed_there_is_no_deviation_to_tell(tmp_path: Path, leave: Leave):
    for alpha in (0.5, 1.0):
        leave(f"s/{alpha}", three(0.9 + alpha / 100, alpha=alpha))
    (cell,) = students(group(collect([tmp_path]), ["method"], []).cells)
    assert (cell.networks, cell.seeds, cell.measures[0].n) == (2, 1, 1)
    assert math.isnan(cell.measures[0].std)


def test_a_teacher_that_all_runs_share_counts_once_beside_them(found: Collected):
    cells = group(found, ["T"], []).cells
    assert [(cell.role, cell.networks) for cell in cells] == [
        ("teacher", 2),  # one per seed
        ("baseline", 2),
        ("student", 4),
        ("student", 4),
    ]
    assert math.isnan(cells[0].keys[0])


def test_the_end_of_an_overridden_key_is_enough_and_one_that_never_varies_is_a_key_too(found: Collected):
    made = group(found, ["lr", "wd"], [])
    assert made.keys == ("hparams.student.lr", "wd")
    assert [cell.keys for cell in students(made.cells)] == [("0.1", "7"), ("0.4", "7")]


def test_without_keys_what_varies_is_taken(found: Collected):
    made = group(found, [], ["accuracy"])
    assert made.keys == ("T", "alpha", "hparams.student.lr")
    assert made.pooled == ("seed",)


def test_an_end_that_two_keys_share_is_not_clear(tmp_path: Path, leave: Leave):
    leave("s/0", three(), {"hparams.student.lr": "1", "hparams.teacher.lr": "2"})
    with pytest.raises(DistillError, match=r"--by lr is not clear: it may be hparams.student.lr or hparams.teacher.lr"):
        group(collect([tmp_path]), ["lr"], [])


@pytest.mark.parametrize(
    ("keys", "metrics", "said"),
    [
        (["methd"], [], r"--by methd is not allowed \(did you mean 'method'\?\): .*role, model, dataset, method, T"),
        (["T"], ["acuracy"], r"--metric acuracy is not allowed \(did you mean 'accuracy'\?\): .*params"),
        (["T"], ["brier"], r"--metric brier was measured in none of these runs: it must be one of params"),
        (["T"], ["method"], r"--metric method is no measure"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(found: Collected, keys: list[str], metrics: list[str], said: str):
    with pytest.raises(DistillError, match=said):
        group(found, keys, metrics)


def test_two_keys_and_one_measure_make_a_grid(found: Collected):
    fields, about = grouped.table(group(found, ["T", "alpha"], ["accuracy"]))
    assert [field.heading for field in fields] == ["T", "alpha=0.5", "alpha=1"]
    # 92 and 92.5 %: mean 92.25, deviation 0.5 / sqrt(2).
    assert [[cell.plain for cell in field.cells] for field in fields] == [
        ["1", "4"],
        ["92.25 ± 0.35", "95.25 ± 0.35"],
        ["93.25 ± 0.35", "96.25 ± 0.35"],
    ]
    assert "accuracy (%): mean ± standard deviation over 2 seeds, taken over hparams.student.lr;" in about
    assert "teacher 98.00, baseline 94.00" in about


def test_a_grid_wider_than_the_terminal_becomes_rows(found: Collected):
    fields, _ = grouped.table(group(found, ["T", "alpha"], ["accuracy"]), width=30)
    assert [field.heading for field in fields] == ["role", "T", "alpha", "n", "accuracy\n%", "95 % interval\n%"]


def test_a_grid_shows_gaps_and_uneven_numbers_of_seeds(tmp_path: Path, leave: Leave):
    for i, (T, alpha, seed) in enumerate([(1, 0.5, 0), (1, 0.5, 1), (1, 1.0, 0), (4, 0.5, 0)]):
        leave(f"s/{i}", three(0.9, T=float(T), alpha=alpha, seed=seed))
    fields, _ = grouped.table(group(collect([tmp_path]), ["T", "alpha"], []))
    assert [cell.plain for cell in fields[1].cells] == ["90.00 (n=2)", "90.00 (n=1)"]
    assert [cell.plain for cell in fields[2].cells] == ["90.00 (n=1)", "–"]


def test_measures_have_their_own_unit_and_digits_and_say_how_many_seeds_have_them(found: Collected):
    fields, _ = grouped.table(group(found, ["T"], ["latency_ms", "params", "gain", "size_mb"]))
    shown = {field.heading: field.cells[-1].plain for field in fields}
    assert shown["latency\nms"] == "1.000 (n=1)"  # seed 0 has none
    assert shown["params"] == "1,276,810"
    assert shown["gain\npoints"] == "+1.75 ± 0.35"
    assert shown["size\nMB"] == "5.107"
