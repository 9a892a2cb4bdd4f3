"""Regressions are compared by R2: gain, verdict, choice, plots; where both kinds are joined, each keeps its own."""

from typing import Any

import pandas as pd
import pytest

from distill.results.frame import frame
from distill.results.markdown import MEASURES
from distill.results.measures import ACCURACY, R2, known_score, measure_for, measure_of
from distill.results.plots import sweep_plots
from distill.results.rows import complete
from distill.results.study import study
from distill.results.watch_state import Group, Job
from distill.results.watch_table import render

from .conftest import Rows, network, three

RUN: dict[str, Any] = {"run": "run", "dataset": {"test": 540}, "overrides": {"method": "regression"}}


def numbers(student: float = 0.80, baseline: float = 0.70, teacher: float = 0.95, seed: int = 0, **more: Any) -> Rows:
    """Teacher, baseline and student of one regression; `more` goes to the student."""
    reached = {"teacher": (teacher, 4801), "baseline": (baseline, 385), "student": (student, 385)}
    rows = [
        network(role, 0.0, params, f"{role}{seed}{more if role == 'student' else ''}", seed=seed, r2=share, rmse=2.5)
        for role, (share, params) in reached.items()
    ]
    plain = [{**row, "accuracy": None, "agreement": None, "dataset": "friedman"} for row in rows]
    return complete([*plain[:2], {**plain[2], "method": "regression", **more}])


def over_seeds(**more: Any) -> Rows:
    return [
        {**row, "run": f"run{seed}{more}"}
        for seed in range(6)
        for row in numbers(student=0.80 + seed / 1000, seed=seed, **more)
    ]


def test_gain_is_in_points_of_r2_and_the_share_recovered_likewise():
    student = numbers()[2]
    assert student["gain"] == pytest.approx(10.0)
    assert student["recovered"] == pytest.approx(0.4)


def test_the_verdict_speaks_of_variance_explained_and_of_no_sampling_error_of_a_share():
    sentence = study(numbers(student=0.701), [RUN]).sentence
    assert "the distilled student explained 70.1 % of the variance, 0.1 points above the same network" in sentence
    assert "trained on the targets alone" in sentence
    assert "noise of a test set" not in sentence
    assert "12.5x fewer parameters" in sentence


def test_seeds_are_joined_and_tested_as_for_classes():
    found = study(over_seeds())
    assert (found.measure, found.chosen_by, found.several_seeds) == (R2, "r2", True)
    assert "Over 6 seeds the distilled student explained 80.25 ± 0.19 % (mean ± standard deviation)" in found.sentence
    assert "better in 6 of 6 seeds, p = .031" in found.sentence


def test_a_setting_is_chosen_by_r2_on_validation_examples():
    rows = [*over_seeds(alpha=0.2, val_r2=0.9), *over_seeds(alpha=0.7, val_r2=0.5)]
    found = study(rows)
    assert found.by_validation
    assert found.winner is not None
    assert found.winner.keys == {"alpha": 0.2}
    assert "did best on validation examples (90.00 %)" in found.sentence


def test_runs_tell_their_validation_score_where_rows_do_not():
    facts = [{"run": "run", "val_r2": 0.625, "dataset": {"test": 540, "targets": {"names": ["y"]}}}]
    (student,) = study(numbers(), facts).students
    assert student.val_accuracy is not None
    assert student.val_accuracy.mean == 0.625
    assert measure_for(facts[0]) is R2
    assert known_score(facts[0], "val") == 0.625


def test_both_kinds_together_are_two_studies():
    rows = [*({**row, "run": "a"} for row in three()), *({**row, "run": "b"} for row in numbers())]
    found = study(rows)
    assert (measure_of(frame(rows)), found.winner) == (ACCURACY, None)
    assert "On digits: In this one run (seed 0) the distilled student scored 95.5 %" in found.sentence
    assert "On friedman: In this one run (seed 0) the distilled student explained 80.0 % of the" in found.sentence


def test_plots_are_named_for_what_they_show_and_old_ones_go(tmp_path):
    rows = frame([row for alpha in (0.2, 0.7) for row in over_seeds(alpha=alpha)])
    assert isinstance(rows, pd.DataFrame)
    assert [path.name for path in sweep_plots(rows, tmp_path)] == ["r2_alpha.png"]
    assert sweep_plots(frame(numbers()), tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_pages_show_r2_and_rmse():
    assert {"r2", "rmse"} <= set(MEASURES)


def test_watching_tells_the_best_by_r2(tmp_path):
    from rich.console import Console

    facts = {"status": "finished", "sweep": True, "val_r2": 0.875, "dataset": {"targets": {"names": ["y"]}}}
    group = Group(tmp_path, sweep=True, total=1, jobs=[Job(tmp_path, facts, "finished", test=0.75)])
    console = Console(width=100, record=True)
    console.print(render([group], now=0.0))
    assert "best by validation R2: job 0  87.50% (test 75.00%)" in console.export_text()
