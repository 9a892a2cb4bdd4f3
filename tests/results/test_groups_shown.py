"""Head, middle and tail classes in the tables of runs whose classes are unequal."""

import io

import pytest
from rich.console import Console

from distill.results.study import study
from distill.results.terminal import print_run, print_sweep

from .conftest import Rows, three

GROUPS = {"accuracy_head": 0.981, "accuracy_mid": 0.907, "accuracy_tail": 0.612}


def tailed(seed: int = 0) -> Rows:
    return [{**row, **{name: share + 0.01 * seed for name, share in GROUPS.items()}} for row in three(seed=seed)]


def shown(width: int, *rows: Rows) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    if len(rows) == 1:
        print_run(rows[0], console)
    else:
        joined = [row for each in rows for row in each]
        print_sweep(joined, console, study(joined))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_one_run_shows_its_groups_beside_the_accuracy(width):
    text = shown(width, tailed())
    assert text.index("accuracy") < text.index("head") < text.index("mid") < text.index("tail") < text.index("gain")
    student = next(line for line in text.splitlines() if "student" in line).split()
    assert student[student.index("98.10") :][:3] == ["98.10", "90.70", "61.20"]
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_several_seeds_show_the_mean_of_each_group(width):
    text = shown(width, tailed(0), tailed(2)).partition("Mean ±")[2]
    student = next(line for line in text.splitlines() if "student" in line).split()
    assert student[student.index("99.10") :][:3] == ["99.10", "91.70", "62.20"]


def test_where_classes_are_equal_there_is_nothing_to_show():
    text = shown(200, three(seed=0), three(seed=1))
    assert "head" not in text
    assert "tail" not in text
