"""The table of shifted data: which numbers stand beside one another, and what is said of harm."""

import io
from typing import Any

from rich.console import Console

from distill.results.shifted import print_shifted


def row(shift: str, adapt: str, accuracy: float, role: str = "student") -> dict[str, Any]:
    severity = None if shift == "none" else 4
    return {
        **{"role": role, "shift": shift, "severity": severity, "adapt": adapt},
        **{"accuracy": accuracy, "nll": 1.23456, "ece": 0.05},
    }


def printed(rows: list[dict[str, Any]], width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_shifted(rows, console)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines() if line.strip()]  # type: ignore


ROWS = [
    row("none", "none", 0.95),
    row("noise", "none", 0.5),
    row("noise", "test_time", 0.625),
    row("blur", "none", 0.9),
    row("blur", "test_time", 0.8875),
]


def test_clean_shifted_and_adapted_stand_side_by_side_and_harm_is_named():
    lines = printed(ROWS)
    assert "student noise 4 95.00 50.00 62.50 +12.50 1.2346 1.2346 5.00 5.00" in lines
    assert "student blur 4 95.00 90.00 88.75 -1.25 1.2346 1.2346 5.00 5.00" in lines
    said = "Adaptation raised the accuracy in 1 of 2 lines; it lowered that of student, blur 4 (-1.25 points)."
    assert lines[-1] == said


def test_without_adaptation_the_change_is_that_of_the_shift():
    lines = printed(ROWS[:2])
    assert lines[-1] == "student noise 4 95.00 50.00 -45.00 1.2346 5.00"


def test_without_a_shift_the_change_is_from_the_clean_examples():
    lines = printed([row("none", "none", 0.95), row("none", "test_time", 0.955)])
    assert "student none 95.00 95.50 +0.50 1.2346 5.00" in lines
    assert lines[-1] == "Adaptation raised the accuracy in 1 of 1 lines and lowered it in none."


def test_a_narrow_terminal_keeps_accuracies():
    lines = printed(ROWS, width=60)
    assert "student noise 4 95.00 50.00 62.50 +12.50" in lines
