"""The comparison of all methods: it has them all, tunes each as much as the others, and runs from start to table."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from distill.methods import methods

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_methods.py"
# Nothing to learn from, a student of its own, numbers instead of classes, and two that came after the comparison.
LEFT_OUT = {"none", "deit", "regression", "adversarial", "self_distill"}
TINY = (
    *("dataset=digits", "dataset.limit_train=64", "dataset.limit_transfer=32", "dataset.limit_test=40"),
    *("teacher.channels=[4,4,4]", "teacher.hidden=8", "hparams.teacher.epochs=1", "hparams.student.epochs=1"),
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("compare_methods", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    # A dataclass looks its module up.
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(SCRIPT.parent))
    return module


def test_every_method_is_compared_once(script):
    listed = script._methods()
    # Other plans are other questions than which loss one teacher teaches one student with best.
    alike = {name for name in methods.names() if not methods.find(name).factory.arranges()}
    assert sorted(listed) == sorted(alike - LEFT_OUT)


def test_each_is_tuned_with_as_many_values_and_its_default_is_one_of_them(script):
    for method in script._methods():
        tried = script.candidates(method)
        assert len(set(tried.values)) == 4, method
        assert tried.default in tried.values, method


def test_the_number_chosen_is_the_best_on_validation_pictures_and_the_table_is_of_other_seeds(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--methods=hinton", "--seeds=2", f"--output={tmp_path}", *TINY],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == ["method", "teacher", "labels alone", "hinton"]
    chosen = rows[-1][3].removeprefix("alpha=")
    tables = {
        folder.name: [row for path in folder.glob("*/results.csv") for row in read(path) if row["role"] == "student"]
        for folder in tmp_path.glob("compare/*/hinton-*")
    }
    assert sorted(float(row["alpha"]) for row in tables["hinton-tune"]) == [0.1, 0.5, 0.9, 1.0]
    assert {row["seed"] for row in tables["hinton-tune"]} == {"0"}
    assert {float(row["alpha"]) for row in tables["hinton-test"]} == {float(chosen)}
    assert {row["seed"] for row in tables["hinton-test"]} == {"1", "2"}
    mean = sum(100 * float(row["accuracy"]) for row in tables["hinton-test"]) / 2
    assert float(rows[-1][1].partition(" ")[0]) == pytest.approx(mean, abs=0.006)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
