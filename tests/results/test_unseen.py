"""What is said of classes that a network never saw."""

import io
from pathlib import Path

from rich.console import Console

from distill.results.report import report
from distill.results.unseen import told

from .conftest import three

# The numbers of Hinton et al. 2015, section 3: one class left out, and all but two.
WITHOUT_3 = {
    "dataset": {"classes": list("0123456789"), "test_by_class": [999] * 3 + [1010] + [999] * 5 + [998]},
    "class_accuracy": {"teacher": [1.0] * 10, "student": [1 - 73 / 999] + [1.0] * 2 + [1 - 133 / 1010] + [1.0] * 6},
    "unseen": {
        "student": {
            "classes": [3],
            "share": 0.1,
            "prior": {"shift": 3.4, "accuracy": 0.9890, "errors": 110, "unseen_errors": 15},
            "oracle": {"shift": 3.5, "accuracy": 0.9891, "errors": 109, "unseen_errors": 14},
        }
    },
}


def test_errors_are_told_before_and_after_the_bias_is_raised():
    first, teacher, student = told(WITHOUT_3)
    assert first.startswith("Class 3 was not shown to student; 1,010 of 10,000 test examples are of it.")
    assert teacher == "teacher: 0 errors, 0 of class 3."
    assert student == (
        "student: 206 errors, 133 of class 3; bias +3.4: 110, 15 (label-free); "
        "bias +3.5: 109, 14 (oracle: chosen on test labels)."
    )


def test_several_classes_are_named_once():
    several = {"student": {**WITHOUT_3["unseen"]["student"], "classes": [3, 9]}}
    first, _, student = told({**WITHOUT_3, "unseen": several})
    assert first.startswith("Classes 3, 9 were not shown to student; 2,008 of 10,000 test examples are of them.")
    assert "206 errors, 133 of these classes;" in student


def test_a_class_without_test_examples_has_no_errors():
    tests = {"classes": ["a", "b"], "test_by_class": [0, 10]}
    student = {"student": {**WITHOUT_3["unseen"]["student"], "classes": [0]}}
    run = {"dataset": tests, "class_accuracy": {"teacher": [None, 0.9]}, "unseen": student}
    assert told(run)[1] == "teacher: 1 errors, 0 of class a."


def test_nothing_is_said_where_every_class_was_shown_or_the_run_is_older():
    assert told({**WITHOUT_3, "unseen": {}}) == told({}) == []


def test_a_report_of_one_run_tells_it(leave, tmp_path):
    folder: Path = leave("runs/one", three(), **WITHOUT_3)
    console = Console(width=200, file=io.StringIO(), record=True)
    report([folder], tmp_path / "there", console)
    assert "student: 206 errors, 133 of class 3" in console.export_text()
    page = (tmp_path / "there" / "report.md").read_text(encoding="utf-8")
    assert "## Classes that were not shown" in page
    assert "133 of class 3" in page
