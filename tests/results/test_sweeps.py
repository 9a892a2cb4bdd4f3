"""What is said of a sweep that did not come to its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from distill.results.collect import collect
from distill.results.process import this
from distill.results.sweeps import size

from .conftest import three

Leave = Callable[..., Path]
GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def recipe(folder: Path, words: Sequence[str], sweeper: str = f"_target_: {GRID}\n    params: null") -> None:
    task = "\n".join(f"    - '{word}'" for word in words)
    text = (
        f"hydra:\n  sweeper:\n    {sweeper}\n  overrides:\n    hydra:\n    - hydra.mode=MULTIRUN\n    task:\n{task}\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "multirun.yaml").write_text(text)


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["T=1,2,4", "alpha=0.3,0.9", "hparams=smoke"], 6),
        (["seed=range(5)", "T=choice(1,2)"], 10),
        (["model@student=a,b", "+dataset.key=1,2"], 4),
        (["dataset.classes=[1,2,3]", "hparams=smoke"], 1),
        (["method=glob(*)"], None),
    ],
)
def test_the_words_of_a_sweep_tell_how_many_jobs_it_has(tmp_path: Path, words: list[str], jobs: int | None):
    recipe(tmp_path, words)
    assert size(tmp_path) == jobs


def test_a_search_has_as_many_jobs_as_trials(tmp_path: Path):
    recipe(tmp_path, ["T=interval(1,20)"], "_target_: hydra_plugins.optuna.Sweeper\n    n_trials: 30")
    assert size(tmp_path) == 30


@pytest.mark.parametrize("text", ["", "[]", "hydra: {", "hydra: {overrides: {task: 3}}"])
def test_a_damaged_recipe_tells_nothing(tmp_path: Path, text: str):
    (tmp_path / "multirun.yaml").write_text(text)
    assert size(tmp_path) is None


def test_an_interrupted_sweep_says_how_many_jobs_never_began(tmp_path: Path, leave: Leave):
    sweep = leave("sweeps/s/0_T=1", three(), {"T": "1"}, sweep=True).parent
    leave("sweeps/s/1_T=2", None, {"T": "2"}, "interrupted", "SIGINT", sweep=True)
    recipe(sweep, ["T=1,2,4,8", "hparams=smoke"])
    assert collect([tmp_path]).warnings == [
        f"2 of the 4 jobs of {sweep} never began: continue with `distill train resume={sweep}`."
    ]
    assert collect([sweep / "0_T=1"]).warnings == []  # of one job nobody asked for the others


def test_a_sweep_that_still_runs_is_not_said_to_have_stopped(tmp_path: Path, leave: Leave):
    sweep = leave("sweeps/s/0", None, status="running", sweep=True, process=this() | {"pid": os.getpid()}).parent
    recipe(sweep, ["T=1,2"])
    assert collect([tmp_path]).warnings == [f"1 of the 2 jobs of {sweep} has not begun yet."]


def test_a_whole_sweep_lacks_nothing(tmp_path: Path, leave: Leave):
    for i in range(2):
        leave(f"sweeps/s/{i}", three(T=i + 1.0), {"T": str(i + 1)}, sweep=True)
    recipe(tmp_path / "sweeps" / "s", ["T=1,2"])
    assert collect([tmp_path]).warnings == []
