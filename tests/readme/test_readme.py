"""The README keeps its promises: what it shows to copy works when it is copied."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from distill import cli
from distill.methods import methods
from distill.results.rows import read_csv

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def readme() -> str:
    return (_ROOT / "README.md").read_text(encoding="utf-8")


def _block(readme: str, after: str, language: str) -> str:
    found = re.search(rf"{re.escape(after)}.*?```{language}\n(.*?)```", readme, re.DOTALL)
    assert found, f"the README lacks a {language} block after {after!r}"
    return found[1]


def test_method_example_trains_when_copied(
    readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = _block(readme, "distill/methods/confidence.py", "python")
    exec(compile(example, "confidence.py", "exec", dont_inherit=True), {"__name__": "confidence"})
    try:
        (tmp_path / "conf/method").mkdir(parents=True)
        (tmp_path / "conf/method/confidence.yaml").write_text(_block(readme, "confidence.yaml", "yaml"))
        monkeypatch.chdir(tmp_path)
        words = ["--config-dir", "conf", "method=confidence", "method.threshold=0.9", "hparams=smoke"]
        monkeypatch.setattr(sys, "argv", ["distill", "train", *words, "verbosity=quiet"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        methods._entries.pop("confidence", None)
        GlobalHydra.instance().clear()
    assert ended.value.code == 0, capsys.readouterr().err
    (table,) = tmp_path.glob("outputs/runs/*/results.csv")
    assert [row["method"] for row in read_csv(table)] == ["none", "none", "confidence"]


def test_method_example_has_at_most_thirty_lines_of_code(readme: str) -> None:
    lines = _block(readme, "distill/methods/confidence.py", "python").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 30


def test_every_method_is_in_the_table(readme: str) -> None:
    section = readme.partition("### Methods")[2].partition("### Networks")[0]
    listed = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert sorted(listed) == methods.names()


def test_no_placeholder_is_left(readme: str) -> None:
    assert "@@" not in readme
