"""What counts once although it is there twice, and what only looks alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.results.collect import collect

from .conftest import three

Leave = Callable[..., Path]


def born(second: int, **more: Any) -> dict[str, Any]:
    """What a record says of where it comes from."""
    process = {"pid": second, "host": "host", "started": "boot 1"}
    return {"began": float(second), "started": f"12:00:{second:02}", "process": process, "directory": "/d", **more}


def test_a_copied_folder_counts_once(tmp_path: Path, leave: Leave):
    run = leave("outputs/runs/a", three(), **born(1))
    shutil.copytree(run, tmp_path / "backup" / "renamed")
    found = collect([tmp_path / "outputs", tmp_path / "backup"])
    assert found.folders == [run]
    assert len(found.rows) == 3
    assert found.warnings == ["renamed is a copy of another run; it is left out."]


def test_a_link_to_a_run_counts_once_without_a_word(tmp_path: Path, leave: Leave):
    run = leave("outputs/runs/a", three())
    (tmp_path / "link").symlink_to(run)
    found = collect([run, tmp_path / "link"])
    assert (len(found.runs), found.warnings) == (1, [])


def test_the_same_command_given_twice_counts_once(tmp_path: Path, leave: Leave):
    leave("runs/a", three(), **born(1, sweep=False))
    leave("runs/b", three(), **born(2, sweep=False))
    found = collect([tmp_path])
    assert [run["run"] for run in found.runs] == ["a"]
    assert found.warnings == ["b has the same networks as a; it is left out."]


def test_the_run_that_says_most_of_itself_is_kept(tmp_path: Path, leave: Leave):
    leave("runs/default", three(), **born(1, sweep=False))
    leave("sweeps/s/0", three(), {"lr": "0.1"}, **born(2, sweep=True))
    leave("sweeps/s/1", three(T=2.0), {"lr": "0.2"}, **born(3, sweep=True))
    assert [run["run"] for run in collect([tmp_path]).runs] == ["s/0", "s/1"]


def test_jobs_of_a_sweep_over_what_makes_no_difference_are_all_shown(tmp_path: Path, leave: Leave):
    for i, value in enumerate(("a", "b", "c")):
        leave(f"sweeps/s/{i}", three(), {"colour": value}, **born(i + 1, sweep=True))
    found = collect([tmp_path])
    assert (len(found.runs), found.warnings) == (3, [])


def test_a_sweep_given_twice_counts_once(tmp_path: Path, leave: Leave):
    for sweep in range(2):
        for i in range(5):
            overrides = {"T": str(i + 1)}
            leave(f"sweeps/{sweep}/{i}", three(T=float(i + 1)), overrides, **born(10 * sweep + i + 1, sweep=True))
    found = collect([tmp_path])
    assert [run["run"] for run in found.runs] == [f"0/{i}" for i in range(5)]
    assert found.warnings == ["5 runs have the same networks as others (1/0, 1/1, 1/2 and 2 more); they are left out."]


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_was_given_again_and_finished_is_no_failure(tmp_path: Path, leave: Leave, status: str):
    leave("runs/a", None, {"T": "4"}, status, "out of memory", **born(1))
    leave("runs/b", three(), {"T": "4"}, **born(2))
    found = collect([tmp_path])
    assert [run["run"] for run in found.runs] == ["b"]
    assert found.warnings == ["a did not finish, but was given again as b; it is left out."]


@pytest.mark.parametrize("later", [{"T": "4", "alpha": "1"}, {"T": "4"}])
def test_a_failure_after_success_or_of_another_setting_stays(tmp_path: Path, leave: Leave, later: dict[str, str]):
    leave("runs/a", three(), {"T": "4"}, **born(1))
    leave("runs/b", None, later, "failed", "out of memory", **born(2))
    assert len(collect([tmp_path]).runs) == 2


def test_runs_of_one_name_in_two_places_are_told_apart(tmp_path: Path, leave: Leave):
    leave("one/sweeps/s/0", three(T=1.0), **born(1))
    leave("two/sweeps/s/0", three(T=2.0), **born(2))
    found = collect([tmp_path])
    assert found.rows["run"].nunique() == 2
    assert [run["run"] for run in found.runs] == list(found.rows["run"].unique())
