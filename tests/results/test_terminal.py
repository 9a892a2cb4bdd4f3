import io
import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from distill.results.collect import collect
from distill.results.seeds import Mean, groups
from distill.results.terminal import print_run, print_sweep

from .conftest import three

Leave = Callable[..., Path]
ACCURACIES = [0.951, 0.957, 0.949, 0.960]
BASELINES = [0.940, 0.945, 0.938, 0.941]


def terminal(width: int) -> Console:
    return Console(width=width, file=io.StringIO(), record=True, color_system="truecolor", force_terminal=True)


def sweep(tmp_path: Path, leave: Leave) -> Path:
    for i, T in enumerate((1.0, 2.0, 16.0)):
        leave(
            f"sweeps/s/{i}",
            three(student=0.94 + 0.01 * i, T=T),
            {"T": f"{T:g}", "hparams.student.lr": f"0.00{i + 1}"},
        )
    leave(
        "sweeps/s/3",
        None,
        {"T": "-1", "hparams.student.lr": "0.004"},
        "failed",
        "T=-1 is not allowed: it must be > 0.",
    )
    return tmp_path


@pytest.mark.parametrize("width", [60, 80, 140])
def test_one_run_fits_and_no_number_is_cut(width: int):
    console = terminal(width)
    print_run(three(), console)
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    student = next(line for line in text.splitlines() if "student" in line)
    for cell in ("95.50", "+1.50", "1,276,810", "1.88x"):
        assert cell in student.split()
    if width == 140:
        assert re.search(r"96\.25.*12\.3 s", student)
        assert "5.1 MB" in student


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_sweep_fits_marks_the_failed_and_tells_why(tmp_path: Path, leave: Leave, width: int):
    console = terminal(width)
    print_sweep(collect([sweep(tmp_path, leave)]).rows, console)
    styled, text = console.export_text(styles=True, clear=False), console.export_text()
    lines = text.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert sum("teacher" in line for line in lines) == sum("baseline" in line for line in lines) == 1
    assert sum("student " in line for line in lines) == 4
    for number in ("94.00", "95.00", "96.00", "0.001", "+2.00"):
        assert number in text.split()
    assert re.search(r"\x1b\[1m *96\.00\x1b", styled)
    assert re.search(r"\x1b\[1;31m *failed\x1b", styled)
    assert "T=-1 is not allowed" in text


def test_a_reused_network_says_so():
    rows = three()
    rows[0]["reused"] = True
    console = terminal(140)
    print_run(rows, console)
    assert "reused" in next(line for line in console.export_text().splitlines() if "teacher" in line)


def test_seeds_are_aggregated_as_the_statistics_module_does(tmp_path: Path, leave: Leave):
    for seed, (student, baseline) in enumerate(zip(ACCURACIES, BASELINES, strict=True)):
        leave(f"s/{seed}", three(student, baseline, seed=seed), {"seed": str(seed)})
    leave("s/again", three(ACCURACIES[0], BASELINES[0], seed=0), {"seed": "0"})
    df = collect([tmp_path]).rows
    group = next(group for group in groups(df) if group.role == "student")
    gains = [100 * (s - b) for s, b in zip(ACCURACIES, BASELINES, strict=True)]
    for mean, values in ((group.accuracy, ACCURACIES), (group.gain, gains)):
        assert mean.n == 4
        assert mean.mean == pytest.approx(statistics.mean(values))
        assert mean.error == pytest.approx(statistics.stdev(values) / math.sqrt(4))
    console = terminal(100)
    print_sweep(df, console)
    assert f"{statistics.mean(gains):+.2f} ± {statistics.stdev(gains) / 2:.2f}" in console.export_text()


def test_seeds_of_two_precisions_are_two_groups(tmp_path: Path, leave: Leave):
    for precision in ("fp32", "bf16"):
        for seed, (student, baseline) in enumerate(zip(ACCURACIES, BASELINES, strict=True)):
            rows = [{**row, "precision": precision} for row in three(student, baseline, seed=seed)]
            leave(f"s/{precision}{seed}", rows, {"seed": str(seed), "precision": precision})
    found = [group for group in groups(collect([tmp_path]).rows) if group.role == "student"]
    assert [group.accuracy.n for group in found] == [4, 4]


def test_the_interval_is_students_t():
    # Gosset 1908, the ten differences of sleep gained: mean 1.58, 95 % interval 0.70 to 2.46.
    low, high = Mean.of([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]).interval()
    assert (round(low, 2), round(high, 2)) == (0.70, 2.46)


def test_one_seed_has_no_error():
    assert Mean.of([0.5]).shown(100) == "50.00"
    assert Mean.of([]).shown() == ""


def test_long_texts_are_shortened_before_numbers_are(tmp_path: Path, leave: Leave):
    for i, name in enumerate(("a_network_with_a_very_long_name", "another_network_with_a_long_name")):
        leave(f"s/{i}", three(T=i + 1.0), {"T": str(i + 1), "model@student": name, "dataset.augment": name * 2})
    console = terminal(50)
    print_sweep(collect([tmp_path]).rows, console)
    text = console.export_text()
    assert "…" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 50
    assert text.split().count("95.50") == 2


def test_the_method_is_the_last_key_to_be_left_out(tmp_path: Path, leave: Leave):
    for i, method in enumerate(("at", "hinton", "rkd")):
        keys = {f"hparams.student.option{k}": f"value-{i}" for k in range(9)}
        leave(f"sweeps/s/{i}", three(method=method), {"method": method, **keys})
    console = terminal(70)
    print_sweep(collect([tmp_path]).rows, console)
    text = console.export_text()
    assert "method" in text
    assert {"at", "hinton", "rkd"} <= set(text.split())
