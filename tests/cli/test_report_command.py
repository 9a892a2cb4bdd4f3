"""`distill report` as a command: where things go, and what it says of mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.results.rows import complete, write_csv


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two settings, two seeds, made up."""
    folder = tmp_path / "outputs" / "sweeps" / "s"
    for number, (T, seed) in enumerate((T, seed) for T in (1, 4) for seed in (0, 1)):
        job = folder / f"{number}_T={T}"
        job.mkdir(parents=True)
        common = {"dataset": "digits", "method": "none", "seed": seed, "status": "finished", "params": 10}
        baseline = {**common, "role": "baseline", "model": "mlp-32", "accuracy": 0.9, "signature": f"b{seed}"}
        student = {**baseline, "role": "student", "method": "hinton", "T": float(T), "accuracy": 0.9 + T / 100}
        write_csv(complete([baseline, {**student, "signature": f"s{number}"}]), job / "results.csv")
        facts = {"status": "finished", "overrides": {"T": str(T)}, "seed": seed, "sweep": True}
        (job / "run.json").write_text(json.dumps(facts))
    return folder


def test_without_formats_it_writes_the_report_beside_the_runs(distill: Callable, sweep: Path):
    ended = distill("report", "outputs/sweeps/s")
    assert (ended.code, ended.err) == (0, "")
    assert set(ended.left) == {f"outputs/sweeps/s/{name}" for name in ("report.csv", "report.md", "accuracy_T.png")}


def test_formats_are_written_alone(distill: Callable, sweep: Path):
    ended = distill("report", "--latex", "there/table.tex", "--json", "all.json", "--html", "page.html")
    assert (ended.code, ended.err) == (0, "")
    assert set(ended.left) == {"there", "there/table.tex", "all.json", "page.html"}
    assert "Written:\n  there/table.tex\n  all.json\n  page.html" in ended.out
    assert "<html" in Path("page.html").read_text(encoding="utf-8")


def test_what_goes_to_standard_output_is_alone_there(distill: Callable, sweep: Path):
    (sweep / "9_T=1").mkdir()
    ended = distill("report", "--json", "-", "--csv", "rows.csv")
    assert json.loads(ended.out)["tried"] == 2
    assert ended.left == ("rows.csv",)
    assert "1 job left no record" in ended.err
    assert "rows.csv" in ended.err


def test_a_grouping_is_only_shown(distill: Callable, sweep: Path):
    ended = distill("report", "--by", "method,T", "--metric", "accuracy,params")
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["student", "hinton", "4", "2", "94.00", "10"] in lines


def test_an_output_folder_beside_formats_gets_the_whole_report_too(distill: Callable, sweep: Path):
    ended = distill("report", "--markdown", "page.md", "--output", "there")
    assert {"page.md", "there/report.md", "there/report.csv", "there/accuracy_T.png"} <= set(ended.left)
    assert "](there/accuracy_T.png)" in Path("page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "There is no nowhere"),
        (["--by", "Tt"], "--by Tt is not allowed (did you mean 'T'?)"),
        (["--metric", "speed"], "--metric speed is not allowed"),
        (["--json"], "expected one argument"),
        (["--jsn", "x"], "unrecognized arguments: --jsn"),
        (["--json", "-", "--csv", "-"], "cannot both be written to -"),
        (["--html", "outputs"], "--html outputs is not allowed: it must be a file"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(distill: Callable, sweep: Path, words: list[str], said: str):
    ended = distill("report", *words)
    assert (ended.code, ended.out, ended.left) == (2, "", ())
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
