import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from distill.errors import DistillError
from distill.results import plots
from distill.results.collect import collect
from distill.results.curves import curves
from distill.results.plots import sweep_plots
from distill.results.report import report, summarise_sweep
from distill.results.rows import read_csv
from distill.results.study import study

from .conftest import three

Leave = Callable[..., Path]


@pytest.fixture
def console() -> Console:
    return Console(width=100, file=io.StringIO(), record=True)


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") and path.stat().st_size > 5_000


def grid(leave: Leave, **extra: str) -> None:
    for i, (T, alpha) in enumerate([(1.0, 0.3), (1.0, 0.7), (4.0, 0.3)]):
        leave(
            f"sweeps/s/{i}",
            three(0.94 + 0.01 * i, T=T, alpha=alpha),
            {"T": str(T), "alpha": str(alpha), **extra},
        )
    leave("sweeps/s/3", None, {"T": "4", "alpha": "0.7"}, "failed", "out of memory | no luck")


def test_T_and_alpha_make_a_heat_map(tmp_path: Path, leave: Leave):
    grid(leave)
    written = sweep_plots(collect([tmp_path]).rows, tmp_path)
    assert [path.name for path in written] == ["accuracy_T_alpha.png"]
    assert is_picture(written[0])


def test_the_heat_maps_cells_are_means_over_seeds(tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch):
    for i, (T, alpha, seed) in enumerate((T, a, s) for T in (1.0, 4.0) for a in (0.3, 0.7) for s in (0, 1)):
        leave(f"s/{i}", three(0.90 + 0.01 * T + 0.02 * seed, T=T, alpha=alpha, seed=seed))
    drawn: list[str] = []
    monkeypatch.setattr("matplotlib.axes.Axes.text", lambda self, x, y, text, **_: drawn.append(f"{x},{y}: {text}"))
    sweep_plots(collect([tmp_path]).rows, tmp_path)
    assert {"0,0: 92.0", "1,0: 95.0", "0,1: 92.0", "1,1: 95.0", "1,1: +1.0"} <= set(drawn)


@pytest.mark.parametrize("key", ["T", "dataset.limit_train"])
def test_one_numeric_key_makes_a_line(tmp_path: Path, leave: Leave, key: str):
    for i, value in enumerate((100, 200, 400)):
        setting = {"T": float(value)} if key == "T" else {}
        leave(f"s/{i}", three(0.94 + 0.01 * i, seed=0, **setting), {key: str(value)})
    assert [path.name for path in sweep_plots(collect([tmp_path]).rows, tmp_path)] == [f"accuracy_{key}.png"]
    assert is_picture(tmp_path / f"accuracy_{key}.png")


def test_only_settings_with_a_grid_make_a_heat_map(tmp_path: Path, leave: Leave):
    grid(leave)
    leave("runs/other", three(T=2.0, alpha=0.5, method="soft"), {"method": "soft"})
    assert [path.name for path in sweep_plots(collect([tmp_path]).rows, tmp_path)] == ["accuracy_T_alpha.png"]


def test_of_very_many_grids_the_winners_is_drawn(tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plots, "MOST_GRIDS", 2)
    runs = [(lr, T, alpha) for lr in ("1", "2", "3") for T in (1.0, 2.0) for alpha in (0.3, 0.7)]
    for i, (lr, T, alpha) in enumerate(runs):
        leave(f"s/{i}", three(0.95 if (lr, T) == ("2", 2.0) else 0.94, T=T, alpha=alpha, lr=lr), {"lr": lr})
    drawn: list[str] = []
    monkeypatch.setattr(plots, "heatmap", lambda part, path, name: drawn.append(name) or path)
    df = collect([tmp_path]).rows
    assert len(sweep_plots(df, tmp_path, study(df))) == 1
    assert drawn == ["lr=2"]


def test_plots_of_an_earlier_report_go_and_other_pictures_stay(tmp_path: Path, leave: Leave):
    for i, T in enumerate((1.0, 2.0)):
        leave(f"s/{i}", three(T=T), {"T": str(T)})
    (first,) = sweep_plots(collect([tmp_path / "s"]).rows, tmp_path)
    own = tmp_path / "accuracy_of_mine.png"
    own.write_bytes(b"\x89PNG\r\n\x1a\n and what somebody drew")
    assert sweep_plots(collect([tmp_path / "s" / "0"]).rows, tmp_path) == []
    assert not first.exists()
    assert own.exists()


def test_error_bars_are_95_percent_intervals(tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch):
    reached = {1.0: (0.90, 0.92, 0.97), 2.0: (0.91, 0.91, 0.91)}
    for i, (T, seed) in enumerate((T, seed) for T in reached for seed in range(3)):
        leave(f"s/{i}", three(reached[T][seed], T=T, seed=seed), {"T": str(T)})
    drawn: dict[str, Any] = {}
    monkeypatch.setattr("matplotlib.axes.Axes.errorbar", lambda _, x, y, yerr, **__: drawn.update(y=y, yerr=yerr))
    sweep_plots(collect([tmp_path]).rows, tmp_path)
    low, high = drawn["yerr"]
    assert drawn["y"] == pytest.approx([93, 91])
    # No resample of three has a mean outside of the values, and none of equal values another one.
    assert 0 < low[0] <= 3
    assert 0 < high[0] <= 4
    assert (low[1], high[1]) == (0, 0)


def test_a_method_without_alpha_makes_no_grid(tmp_path: Path, leave: Leave):
    for i, (T, method) in enumerate((T, method) for T in (1.0, 2.0) for method in ("hinton", "soft_hard")):
        alpha = 0.9 if method == "hinton" else None
        leave(f"s/{i}", three(T=T, alpha=alpha, method=method), {"T": str(T), "method": method})
    assert [path.name for path in sweep_plots(collect([tmp_path]).rows, tmp_path)] == ["accuracy_T.png"]


def test_networks_make_a_line_each(tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch):
    for i, (T, name) in enumerate((T, name) for T in (1.0, 2.0) for name in ("small", "large")):
        rows = three(T=T, model=name)
        rows[1]["signature"] = name
        leave(f"s/{i}", rows, {"T": str(T), "model@student": name})
    ends: list[str] = []
    monkeypatch.setattr(plots.canvas, "label_ends", lambda _, labels: ends.extend(label for _, label, _ in labels))
    assert len(sweep_plots(collect([tmp_path]).rows, tmp_path)) == 1
    assert ends == ["large", "small", "teacher 98.0 %"]


@pytest.mark.parametrize(
    "overrides", [[{"seed": "0"}, {"seed": "1"}], [{"lr": "1", "wd": "1"}, {"lr": "2", "wd": "2"}]]
)
def test_seeds_alone_or_two_keys_make_no_plot(tmp_path: Path, leave: Leave, overrides: list[dict[str, str]]):
    for i, override in enumerate(overrides):
        leave(f"s/{i}", three(seed=int(override.get("seed", 0))), override)
    assert sweep_plots(collect([tmp_path]).rows, tmp_path) == []


@pytest.mark.parametrize("epochs", [1, 40])
def test_curves_are_drawn_for_any_number_of_epochs(tmp_path: Path, epochs: int):
    metrics = pd.DataFrame(
        {
            "role": role,
            "epoch": epoch,
            "loss": 1 / epoch,
            "train_accuracy": None,
            "test_accuracy": 1 - 0.5 / epoch,
        }
        for role in ("teacher", "assistant", "student")
        for epoch in range(1, epochs + 1)
    ).astype({"train_accuracy": float})
    assert is_picture(curves(metrics, tmp_path / "curves.png"))


def test_report_of_one_run_lies_in_its_folder(leave: Leave, console: Console):
    run = leave("runs/a", three())
    written = report([run], None, console)
    assert {path.relative_to(run).as_posix() for path in written} == {"curves.png", "report.csv", "report.md"}
    page = (run / "report.md").read_text()
    assert "| student | mlp-30 | 95.50 | +1.50 |" in page
    assert "![curves](curves.png)" in page
    assert "In this one run" in console.export_text()


def test_report_joins_runs_with_links_that_lead_somewhere(tmp_path: Path, leave: Leave, console: Console):
    grid(leave)
    output = tmp_path / "out"
    report([tmp_path / "sweeps"], output, console)
    page = (output / "report.md").read_text()
    assert "![accuracy T alpha](accuracy_T_alpha.png)" in page
    assert "](../sweeps/s/0)" in page
    assert "out of memory \\| no luck" in page
    assert [row["role"] for row in read_csv(output / "report.csv")].count("teacher") == 1


def test_several_paths_report_into_the_current_folder(
    tmp_path: Path, leave: Leave, console: Console, monkeypatch: pytest.MonkeyPatch
):
    runs = [leave(f"runs/{i}", three(T=i + 1.0)) for i in range(2)]
    monkeypatch.chdir(tmp_path)
    report(runs, None, console)
    assert (tmp_path / "report" / "report.md").is_file()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, leave: Leave, console: Console):
    run = leave("runs/a", three())
    (tmp_path / "file").touch()
    with pytest.raises(DistillError, match="cannot be written"):
        report([run], tmp_path / "file", console)


def test_unreadable_metrics_are_a_warning(leave: Leave, console: Console):
    run = leave("runs/a", three())
    (run / "metrics.csv").write_text("nothing,here\n1,2\n")
    report([run], None, console)
    assert "No curves" in console.export_text()


@pytest.mark.parametrize(("runs", "drawn"), [(2, 2), (8, 0)])
def test_curves_are_drawn_of_a_few_runs(
    tmp_path: Path, leave: Leave, console: Console, monkeypatch: pytest.MonkeyPatch, runs: int, drawn: int
):
    for i in range(runs):
        leave(f"s/{i}", three(T=i + 1.0), {"T": str(i)})
    asked: list[Path] = []
    monkeypatch.setattr("distill.results.report.curves", lambda _, path: asked.append(path) or path)
    report([tmp_path], tmp_path / "out", console)
    assert len(asked) == drawn


def test_a_sweep_is_summarised_although_jobs_failed_or_left_nothing(tmp_path: Path, leave: Leave, console: Console):
    grid(leave)
    sweep = tmp_path / "sweeps" / "s"
    (sweep / "4_T=9").mkdir(parents=True)
    written = summarise_sweep(sweep, console)
    assert [path.name for path in written] == ["results.csv", "accuracy_T_alpha.png", "report.md"]
    assert [row["role"] for row in read_csv(sweep / "results.csv")].count("teacher") == 3
    assert "1 job left no record" in console.export_text()


def test_a_sweep_without_any_record_is_told(tmp_path: Path, console: Console):
    assert summarise_sweep(tmp_path, console) == []
    assert "No job of this sweep left results" in console.export_text()


def test_reports_start_without_torch_and_without_matplotlib():
    code = "import sys, distill.results.report; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_table_too_long_for_the_terminal_is_in_a_file_that_is_written(
    tmp_path: Path, leave: Leave, console: Console
) -> None:
    for i, (T, seed) in enumerate((float(T), seed) for T in range(1, 16) for seed in range(2)):
        leave(f"sweeps/s/{i}", three(0.95, seed=seed, T=T), {"T": f"{T:g}", "seed": str(seed)})
    for targets, named in (
        ({"csv": "all.csv"}, "all.csv"),
        ({"latex": "table.tex"}, "what --csv writes"),
        ({}, "report.csv"),
    ):
        report([tmp_path], None, console, {kind: str(tmp_path / name) for kind, name in targets.items()})
        assert f"{named}." in " ".join(console.export_text().split()).replace(f"{tmp_path}/", "")


def test_a_measure_that_was_asked_for_and_has_no_room_is_named(tmp_path: Path, leave: Leave) -> None:
    leave("runs/a", three())
    narrow = Console(width=40, file=io.StringIO(), record=True)
    report([tmp_path], None, narrow, measures=("accuracy", "params", "seconds", "compression", "size_mb"))
    assert "No room here for" in narrow.export_text()
