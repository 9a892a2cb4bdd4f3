import io
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from distill.results.collect import collect
from distill.results.study import study
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


def over_seeds(tmp_path: Path, leave: Leave, **more: Any) -> pd.DataFrame:
    for seed, (student, baseline) in enumerate(zip(ACCURACIES, BASELINES, strict=True)):
        leave(f"sweeps/s/{seed}", three(student, baseline, seed=seed, **more), {"seed": str(seed)})
    return collect([tmp_path]).rows


def test_seeds_are_aggregated_as_the_statistics_module_does(tmp_path: Path, leave: Leave):
    console = terminal(120)
    print_sweep(over_seeds(tmp_path, leave), console)
    student = [line for line in console.export_text().splitlines() if "student " in line][-1]
    gains = [100 * (s - b) for s, b in zip(ACCURACIES, BASELINES, strict=True)]
    accuracy = f"{100 * statistics.mean(ACCURACIES):.2f} ± {100 * statistics.stdev(ACCURACIES):.2f}"
    assert accuracy in student
    # All four differences have the same sign: p is 2/16.
    assert re.search(
        rf"{re.escape(f'{statistics.mean(gains):+.2f}')}  \+\d\.\d\d to \+\d\.\d\d  \.125   4/4$", student.strip()
    )


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, {"± 0.51", "interval", "wins", ".125"}),
        (60, {"± 0.51", "interval", ".125"}),
        (56, {"interval", ".125"}),
        (50, {"± 0.51", ".125"}),
        (40, {".125"}),
    ],
)
def test_a_narrow_table_of_means_gives_up_what_decides_least(tmp_path: Path, leave: Leave, width: int, shown: set[str]):
    console = terminal(width)
    print_sweep(over_seeds(tmp_path, leave), console)
    text = console.export_text()
    table = text[text.index("Mean ±") : text.index("Gain over")]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= width
    assert {word for word in ("± 0.51", "interval", "wins", ".125") if word in table} == shown
    assert {"95.42", "+1.33"} <= set(table.split())


def test_wins_are_explained_only_where_they_are_shown(tmp_path: Path, leave: Leave):
    found = over_seeds(tmp_path, leave)
    for width in (80, 60):
        console = terminal(width)
        print_sweep(found, console)
        explained = "wins: seeds in which it is better" in " ".join(console.export_text().split())
        assert explained == (width == 80)


def test_keys_that_a_narrow_table_has_no_room_for_are_named(tmp_path: Path, leave: Leave):
    for i, (T, decay, seed) in enumerate((T, decay, seed) for T in (1.0, 4.0) for decay in (0, 1) for seed in (0, 1)):
        keys = {"T": f"{T:g}", "hparams.student.weight_decay": f"0.{decay}", "hparams": "smoke" * (1 + decay)}
        leave(f"s/{i}", three(0.94 + 0.01 * decay, seed=seed, T=T, alpha=decay / 2), {**keys, "seed": str(seed)})
    console = terminal(44)
    print_sweep(collect([tmp_path]).rows, console)
    means = console.export_text().split("Mean ±")[1].split("Gain over")[0]
    heading = means.splitlines()[3].split()
    assert "T" in heading
    assert not any(word.endswith("decay") for word in heading)
    assert "No room here for hparams.student.weight_decay" in " ".join(means.split())


def test_methods_are_shown_beside_one_another(tmp_path: Path, leave: Leave):
    for i, (method, seed) in enumerate((method, seed) for method in ("at", "rkd") for seed in range(2)):
        leave(f"sweeps/s/{i}", three(0.95 + 0.01 * (method == "at") + 0.001 * seed, seed=seed, method=method))
    console = terminal(100)
    print_sweep(collect([tmp_path]).rows, console)
    text = console.export_text()
    line = next(line for line in text.splitlines() if line.strip().startswith("at "))
    assert line.split() == ["at", "rkd", "2", "+1.00", "+1.00", "to", "+1.00", ".5", "2/2"]


def test_many_runs_of_several_seeds_are_left_to_the_file(tmp_path: Path, leave: Leave):
    for i, (T, seed) in enumerate((float(T), seed) for T in range(1, 16) for seed in range(2)):
        leave(f"sweeps/s/{i}", three(0.95, seed=seed, T=T), {"T": f"{T:g}", "seed": str(seed)})
    console = terminal(100)
    print_sweep(collect([tmp_path]).rows, console, table="results.csv")
    text = console.export_text()
    assert "The table of 34 networks, one by one, is left out here: it is in results.csv." in text
    assert sum("student " in line for line in text.splitlines()) == 15


def test_runs_that_failed_for_one_reason_are_told_by_their_numbers(tmp_path: Path, leave: Leave):
    for i in (*range(9), 12, 13, 20):
        leave(f"sweeps/2026/{i}_seed={i}__T=0", None, {"T": "0"}, "failed", "T=0 is not allowed.")
    console = terminal(200)
    print_sweep(collect([tmp_path]).rows, console)
    text = console.export_text()
    assert "failed: T=0 is not allowed. (jobs 0-8, 12-13, 20)" in text
    assert "__T=0" not in text


def test_seeds_of_two_precisions_are_two_groups(tmp_path: Path, leave: Leave):
    for precision in ("fp32", "bf16"):
        for seed, (student, baseline) in enumerate(zip(ACCURACIES, BASELINES, strict=True)):
            rows = [{**row, "precision": precision} for row in three(student, baseline, seed=seed)]
            leave(f"s/{precision}{seed}", rows, {"seed": str(seed), "precision": precision})
    assert [group.accuracy.n for group in study(collect([tmp_path]).rows).students] == [4, 4]


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
