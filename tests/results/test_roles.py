"""Runs of more networks than teacher, baseline and student: their order, their looks, and whose gain is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from distill.results.collect import collect
from distill.results.frame import frame
from distill.results.grouping import group
from distill.results.html.drawing.look import of_role
from distill.results.report import report
from distill.results.rows import Row, complete
from distill.results.seeds import roles
from distill.results.terminal import print_run, print_sweep

from .conftest import network, three

Leave = Callable[..., Path]

ASSISTED = ("teacher", "assistant", "assistant_2", "baseline", "student")
REBORN = ("teacher", "baseline", "generation_1", "generation_2", "student", "ensemble")
TOGETHER = ("baseline", "peers", "student", "peer_2")
SEVERAL = ("teacher", "teacher_2", "ensemble", "baseline", "student")


def run(names: tuple[str, ...], method: str, **more: object) -> list[Row]:
    """A run with these networks, the first at 60 % and each of the others 2 points above the one before."""
    return complete(
        [
            network(name, 0.6 + 0.02 * place, 1000, f"{method}-{name}", method=method, **more)
            for place, name in enumerate(names)
        ]
    )


@pytest.mark.parametrize("names", [ASSISTED, REBORN, TOGETHER, SEVERAL])
def test_the_rows_of_a_run_keep_the_order_of_its_plan(names):
    console = Console(width=120, file=io.StringIO(), record=True)
    print_run(run(names, "some"), console)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert [line[0] for line in lines if line and line[0] in names] == list(names)


def test_joined_runs_show_each_role_where_its_own_run_has_it(leave: Leave, tmp_path: Path):
    leave("sweeps/s/0", three(), {"method": "hinton"})
    leave("sweeps/s/1", run(ASSISTED, "takd"), {"method": "takd"})
    leave("sweeps/s/2", run(TOGETHER, "dml"), {"method": "dml"})
    leave("sweeps/s/3", [row for row in three() if row["role"] == "student"], {"method": "at"}, "failed", "why")
    expected = ["teacher", "assistant", "assistant_2", "baseline", "peers", "student", "peer_2"]
    found = collect([tmp_path])
    assert roles(frame(found.rows)) == expected
    console = Console(width=160, file=io.StringIO(), record=True)
    print_sweep(found.rows, console)
    lines = [line.split() for line in console.export_text().splitlines()]
    shown = [line[0] for line in lines if line and line[0] in expected]
    assert list(dict.fromkeys(shown)) == expected
    assert list(dict.fromkeys(cell.role for cell in group(found, ["model"], []).cells)) == expected


def test_a_gain_is_told_of_those_that_learned_as_the_student_does_alone():
    for names, method in ((ASSISTED, "takd"), (REBORN, "ban"), (TOGETHER, "dml"), (SEVERAL, "ensemble")):
        for row in run(names, method):
            learned = row["role"] in ("student", "peer_2", "generation_1", "generation_2")
            assert (row["gain"] is not None) == learned, row["role"]
    reborn = {row["role"]: row for row in run(REBORN, "ban")}
    assert reborn["generation_2"]["gain"] == pytest.approx(4.0)
    assert reborn["student"]["gain"] == pytest.approx(6.0)


def test_recovered_is_a_share_of_the_way_to_the_first_teacher():
    rows = [network(role, reached, 1000, role) for role, reached in (("teacher", 0.9), ("teacher_2", 0.99))]
    rows += [network(role, reached, 100, role) for role, reached in (("baseline", 0.7), ("peer_2", 0.75))]
    assert [row["recovered"] for row in complete(rows)] == [None, None, None, pytest.approx(0.25)]


@pytest.mark.parametrize("names", [ASSISTED, REBORN, TOGETHER, SEVERAL])
def test_no_two_networks_of_a_run_look_alike_in_a_figure(names):
    assert len({of_role(name) for name in names}) == len(names)


def test_a_report_of_several_seeds_tells_of_every_role(leave: Leave, tmp_path: Path):
    for seed in range(3):
        rows = [{**row, "signature": f"{row['signature']}-{seed}"} for row in run(REBORN, "ban", seed=seed)]
        leave(f"sweeps/s/{seed}", rows, {"seed": str(seed)})
    console = Console(width=120, file=io.StringIO(), record=True)
    targets = {form: str(tmp_path / form) for form in ("markdown", "html", "latex")}
    report([tmp_path / "sweeps"], None, console, targets)
    for file in targets.values():
        text = Path(file).read_text(encoding="utf-8").replace("\\_", "_")
        assert all(name in text for name in REBORN), file
