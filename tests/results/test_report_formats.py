"""The formats of a report: LaTeX, JSON and CSV, to files and to standard output."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.results import fields, formats, latex
from distill.results.collect import collect
from distill.results.formats import Content, pieces
from distill.results.grouping import group
from distill.results.study import study

from .conftest import three

Leave = Callable[..., Path]


@pytest.fixture
def content(tmp_path: Path, leave: Leave) -> Content:
    """Two settings over three seeds: T=1 gains 1, 2 and 3 points, T=4 1 point more."""
    for i, (T, seed) in enumerate((T, seed) for T in (1, 4) for seed in range(3)):
        rows = three(0.94 + 0.01 * (seed + 1 + (T == 4)), T=float(T), seed=seed)
        leave(f"s/{i}", rows, {"T": str(T), "odd_key": f"a_b&{T}%"}, command="distill train")
    leave("s/6", None, {"T": "9"}, "failed", "no memory")
    return made(tmp_path)


def made(folder: Path) -> Content:
    found = collect([folder])
    return Content(found, study(found.rows, found.runs))


def text(kind: str, content: Content) -> str:
    return "".join(pieces(kind, content, Path.cwd()))


def test_the_latex_table_has_a_row_per_group_and_the_chosen_settings_numbers_bold(content: Content):
    lines = [line.strip() for line in text("latex", content).splitlines()]
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == 4  # teacher, baseline, T=1 and T=4
    assert {len(re.findall(r"(?<!\\)&", line)) for line in [*body, lines[lines.index(r"\toprule") + 1]]} == {9}
    assert all(line.endswith(r" \\") for line in body)
    assert r"student & mlp-30 & 4 & a\_b\&4\% & 3 & \textbf{97.00 $\pm$ 1.00} & \textbf{+3.00 $\pm$ 1.00}" in body[3]
    assert r"\textbf" not in body[2]
    assert lines[0].startswith("% Of 2 settings")
    assert r"% Needs \usepackage{booktabs}." in lines


def test_a_latex_table_longer_than_a_page_goes_over_several(tmp_path: Path, leave: Leave):
    for T in range(1, 51):
        leave(f"s/{T}", three(0.9 + 0.001 * T, T=float(T)), {"T": str(T)})
    page = text("latex", made(tmp_path))
    assert page.count(r"\begin{longtable}{llrrr") == page.count(r"\end{longtable}") == 1
    assert r"\usepackage{longtable}" in page
    assert page.count(r"student & ") == 50


def test_a_table_shows_the_best_of_very_many_settings(tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fields, "MOST", 2)
    for T in range(1, 5):
        leave(f"s/{T}", three(0.9 + 0.001 * T, T=float(T)), {"T": str(T)})
    content = made(tmp_path)
    (keys,) = (field for field in fields.settings(content.outcome) if field.heading == "T")
    assert [cell.plain for cell in keys.cells] == ["", "", "3", "4"]
    assert "The 2 settings that did best; 2 more are not shown." in fields.about_settings(content.outcome)


@pytest.mark.parametrize(
    ("plain", "printed"),
    [
        ("a_b", r"a\_b"),
        ("50 % of {x} & $y #1", r"50 \% of \{x\} \& \$y \#1"),
        ("C:\\x~y^z", r"C:\textbackslash{}x\textasciitilde{}y\textasciicircum{}z"),
        ("p <.001 | a>b", r"p \textless{}.001 \textbar{} a\textgreater{}b"),
        ("-0.52 ± 0.23", r"$-$0.52 $\pm$ 0.23"),
        ("-0.52 to -0.10", r"$-$0.52 to $-$0.10"),
        ("mlp-400 of 2026-11-21, 1e-3", "mlp-400 of 2026-11-21, 1e-3"),
        ("[16, 32]*", "{[}16, 32]{*}"),  # after the end of a row, brackets or a star would be its option
    ],
)
def test_what_means_something_to_latex_is_escaped(plain: str, printed: str):
    assert latex.escaped(plain) == printed


def test_json_holds_verdict_groups_comparisons_and_runs(content: Content):
    found = json.loads(text("json", content))
    assert found["verdict"] == content.outcome.sentence
    assert (found["chosen_by"], found["tried"]) == ("accuracy", 2)
    best = found["groups"][found["winner"]]
    assert (best["role"], best["keys"]["T"]) == ("student", 4.0)
    assert best["accuracy"]["mean"] == pytest.approx(0.97)
    assert best["gain"]["mean"] == pytest.approx(3.0)
    # All three seeds won: 2 of the 8 ways to set the signs are as extreme.
    assert (best["gain"]["n"], best["gain"]["p"], best["gain"]["wins"]) == (3, 0.25, 1.0)
    (comparison,) = found["comparisons"]
    assert (comparison["first"], found["groups"][comparison["second"]]["role"]) == (found["winner"], "baseline")
    assert [run["status"] for run in found["runs"]] == ["finished"] * 6 + ["failed"]
    roles = [network["role"] for network in found["runs"][0]["networks"]]
    assert roles == ["teacher", "baseline", "student"]
    student = found["runs"][0]["networks"][2]
    assert (student["params"], student["accuracy"], student["T"]) == (1_276_810, pytest.approx(0.95), 1.0)
    (unfinished,) = found["runs"][6]["networks"]
    assert (found["runs"][6]["error"], unfinished["role"], unfinished["T"]) == ("no memory", "student", 9.0)
    assert "accuracy" not in unfinished


def test_json_says_null_for_what_no_number_is(tmp_path: Path, leave: Leave):
    leave("runs/a", three())
    page = text("json", made(tmp_path))
    assert "NaN" not in page
    found = json.loads(page)
    assert found["groups"][-1]["accuracy"] == {"mean": 0.955, "std": None, "n": 1, "low": None, "high": None}
    assert found["groups"][-1]["val_accuracy"] is None


def test_csv_has_a_line_per_network_each_shared_one_once(content: Content):
    lines = list(csv.DictReader(io.StringIO(text("csv", content))))
    assert [line["role"] for line in lines].count("teacher") == 3
    students = [line for line in lines if line["role"] == "student"]
    assert [(line["T"], line["seed"], line["status"]) for line in students[:2]] == [
        ("1.0", "0", "finished"),
        ("1.0", "1", "finished"),
    ]
    assert students[0]["odd_key"] == "a_b&1%"
    assert students[6]["error"] == "no memory"


def test_csv_and_json_of_groups_have_what_was_asked_for(content: Content):
    grouped = Content(content.found, content.outcome, group(content.found, ["T"], ["gain", "params"]))
    lines = list(csv.DictReader(io.StringIO(text("csv", grouped))))
    assert list(lines[0]) == ["role", "T", "metric", "networks", "n", "mean", "std", "low", "high"]
    gains = [line for line in lines if line["metric"] == "gain" and line["role"] == "student"]
    assert [(line["T"], line["n"]) for line in gains] == [("1", "3"), ("4", "3")]
    assert [float(line["mean"]) for line in gains] == pytest.approx([2.0, 3.0])
    cells = json.loads(text("json", grouped))["cells"]
    assert [cell["keys"] for cell in cells] == [{}, {}, {"T": 1.0}, {"T": 4.0}]
    assert cells[3]["gain"]["std"] == pytest.approx(1.0)
    assert cells[3]["params"]["mean"] == 1_276_810


def test_the_markdown_page_puts_the_asked_for_table_first_and_the_verdict_above_it(content: Content):
    grouped = Content(content.found, content.outcome, group(content.found, ["T"], []))
    page = text("markdown", grouped)
    assert page.index(content.outcome.sentence) < page.index("## As asked") < page.index("## Settings")
    assert "| student | 4 | 3 | 97.00 ± 1.00 |" in page
    assert re.search(r"\| student \| mlp-30 \| 4 \| a_b&4% \| 3 \| \*\*97\.00 ± 1\.00\*\* .*\| 3/3 \|", page)
    assert "All by `distill train`" in page
    assert "failed: no memory" in page


def test_formats_are_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(DistillError, match=r"--csv and --json cannot both be written to -"):
        formats.check({"csv": "-", "json": "-"})
    with pytest.raises(DistillError, match=r"--latex and --html cannot both"):
        formats.check({"latex": str(tmp_path / "x"), "html": f"{tmp_path}/./x"})
    with pytest.raises(DistillError, match=r"--json .* must be a file"):
        formats.check({"json": str(tmp_path)})
    with pytest.raises(DistillError, match=r"--json '' is not allowed"):
        formats.check({"json": ""})


def test_a_folder_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DistillError, match=r"--html .*file/x/page\.html cannot be written: Not a directory\."):
        formats.check({"html": str(tmp_path / "file" / "x" / "page.html")})
    formats.check({"html": str(tmp_path / "new" / "folder" / "page.html")})
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(DistillError, match=r"--html .*page\.html cannot be written: Permission denied\."):
        formats.check({"html": str(tmp_path / "new" / "page.html")})


def test_a_file_that_cannot_be_written_is_told_and_nothing_half_is_left(tmp_path: Path, content: Content):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DistillError, match=r"--csv .*file/x\.csv cannot be written"):
        formats.write(content, {"csv": str(tmp_path / "file" / "x.csv")})
    assert (tmp_path / "file").read_text() == "mine"
