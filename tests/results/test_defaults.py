"""A key that one run was given and another has by default: one setting where the values are one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.results import defaults
from distill.results.collect import collect
from distill.results.frame import students, varying
from distill.results.grouping import group
from distill.results.study import study

from .conftest import three

Leave = Callable[..., Path]


def values(folder: Path, key: str) -> list[str]:
    """Of the students, in the order of their folders; nothing where the key does not vary."""
    df = students(collect([folder]).rows)
    return df[key].tolist() if key in df else []


def ran(leave: Leave, number: int, given: str | None, config: str, key: str = "hparams.student.lr") -> None:
    overrides = {"seed": str(number)} | ({} if given is None else {key: given})
    folder = leave(f"runs/{number}", three(seed=number), overrides, seed=number)
    (folder / "config.resolved.yaml").write_text(config, encoding="utf-8")


LR = "hparams:\n  student:\n    lr: 0.002\n"


@pytest.mark.parametrize("given", ["0.002", "2e-3", ".002"])
def test_what_was_given_as_it_is_by_default_is_one_setting(tmp_path: Path, leave: Leave, given: str):
    for number in range(4):
        ran(leave, number, given if number < 2 else None, LR)
    found = collect([tmp_path])
    assert varying(found.rows) == []
    (student,) = study(found.rows, found.runs).students
    assert student.accuracy.n == 4
    assert {cell.keys for cell in group(found, ["lr"], []).cells} == {(given,)}


def test_values_are_compared_and_not_their_spelling(tmp_path: Path, leave: Leave):
    for number, given in enumerate(("2e-3", "0.002", "0.01")):
        ran(leave, number, given, LR)
    assert values(tmp_path, "hparams.student.lr") == ["2e-3", "2e-3", "0.01"]


def test_another_default_is_shown_as_what_it_is(tmp_path: Path, leave: Leave):
    ran(leave, 0, "0.1", LR)
    ran(leave, 1, None, LR)
    assert values(tmp_path, "hparams.student.lr") == ["0.1", "0.002"]


@pytest.mark.parametrize("config", ["student:\n  widths:\n  - 16\n  - 32\n", "student: {widths: [16, 32]}\n"])
def test_lists_are_values_too(tmp_path: Path, leave: Leave, config: str):
    ran(leave, 0, "[16, 32]", "", "student.widths")
    ran(leave, 1, None, config, "student.widths")
    assert values(tmp_path, "student.widths") == []


@pytest.mark.parametrize("config", ["", "{", "- 1\n", "hparams: 3\n", "hparams: {student: {lr: {a: 1}}}\n"])
def test_what_cannot_be_read_is_a_default(tmp_path: Path, leave: Leave, config: str):
    ran(leave, 0, "0.1", LR)
    ran(leave, 1, None, config)
    assert values(tmp_path, "hparams.student.lr") == ["0.1", ""]


def test_null_is_a_default_unless_somebody_gave_it(tmp_path: Path, leave: Leave):
    ran(leave, 0, "100", "", "dataset.limit_train")
    ran(leave, 1, None, "dataset: {limit_train: null}\n", "dataset.limit_train")
    assert values(tmp_path, "dataset.limit_train") == ["100", ""]
    ran(leave, 2, "null", "", "dataset.limit_train")
    assert values(tmp_path, "dataset.limit_train") == ["100", "null", "null"]


def test_a_default_that_is_the_seed_does_not_split_the_seeds_of_a_setting(tmp_path: Path, leave: Leave):
    ran(leave, 0, "7", "", "dataset.seed")
    for number in (1, 2):
        ran(leave, number, None, f"dataset: {{seed: {number}}}\n", "dataset.seed")
    assert values(tmp_path, "dataset.seed") == ["7", "", ""]


def test_of_very_many_runs_no_config_is_read(tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(defaults, "_MOST", 1)
    ran(leave, 0, "0.002", LR)
    for number in (1, 2):
        ran(leave, number, None, LR)
    assert values(tmp_path, "hparams.student.lr") == ["0.002", "", ""]
