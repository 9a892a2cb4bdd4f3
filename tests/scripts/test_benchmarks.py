"""The benchmarks run from start to table; what they measure on a busy machine is nobody's business here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[2] / "scripts"


def _printed(folder: Path, script: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(_SCRIPTS / script), *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _cells(printed: str, name: str) -> list[str]:
    """The cells of a row of a table, which stand at least two spaces apart."""
    row = next(line for line in printed.splitlines() if line.strip().startswith(name))
    return re.split(r"\s{2,}", row.strip())


def test_the_loop_is_measured_against_tutorial_and_floor(tmp_path):
    pytest.importorskip("torchvision")
    printed = _printed(tmp_path, "bench_loop.py", "--quick", "--only", "CNN", "--device", "cpu")
    _, batch, _, teacher, ours, tutorial, floor, times, share, once = _cells(printed, "CNN 16-32")
    assert (batch, teacher) == ("64", "kept")
    assert all(float(number) > 0 for number in (ours, floor, once))
    quicker = float(tutorial.split()[0])
    assert float(times.removesuffix("x")) == pytest.approx(quicker / float(ours), abs=0.06)
    assert float(share.removesuffix("%")) == pytest.approx(100 * float(floor) / float(ours), abs=0.6)


def test_three_ways_to_sweep_are_timed(tmp_path):
    printed = _printed(tmp_path, "bench_sweep.py", "--quick")
    assert "2 jobs (T=1,2 alpha=0.5 hparams=smoke)" in printed
    for way in ("stacked", "one by one", "usual way"):
        found = _cells(printed, way)
        assert float(found[1]) > 0
    assert _cells(printed, "stacked")[2:] == ["1.0x", "1.0x"]
    assert "start-up" in printed


def test_reports_of_few_and_many_runs_are_timed(tmp_path):
    printed = _printed(tmp_path, "bench_report.py", "--runs", "2", "6", "--repeats", "1", "--formats", "csv")
    rows = [line.split() for line in printed.splitlines() if line.strip().startswith("csv")]
    assert [row[:3] for row in rows] == [["csv", "2", "10"], ["csv", "6", "30"]]
    assert all(float(cell) > 0 for row in rows for cell in row[3:6])
