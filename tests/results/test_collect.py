import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.results.collect import collect
from distill.results.find import find_runs
from distill.results.frame import unique, varying

from .conftest import three

Leave = Callable[..., Path]


def test_runs_are_found_in_natural_order_and_never_in_store_or_cache(tmp_path: Path, leave: Leave):
    for place in ("sweeps/s/10_T=1", "sweeps/s/2_T=2", "runs/a", "store/teacher-1", "cache/x"):
        leave(place, three())
    found = [path.relative_to(tmp_path).as_posix() for path in find_runs([tmp_path])]
    assert found == ["runs/a", "sweeps/s/2_T=2", "sweeps/s/10_T=1"]


def test_a_run_given_twice_counts_once(leave: Leave):
    run = leave("runs/a", three())
    assert find_runs([run, run.parent, run / "run.json"]) == [run]


def test_a_file_that_no_run_left_is_not_taken_for_its_folder(tmp_path: Path, leave: Leave):
    leave("runs/a", three())
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DistillError, match=r"no run in .*notes\.txt"):
        find_runs([tmp_path / "notes.txt"])


def test_an_absent_path_gets_a_did_you_mean(tmp_path: Path, leave: Leave):
    leave("runs/a", three())
    with pytest.raises(DistillError, match=r"did you mean 'runs'\?.*outputs/runs"):
        find_runs([tmp_path / "rums" / "a"])


def test_a_folder_without_runs_says_what_a_run_is(tmp_path: Path):
    with pytest.raises(DistillError, match=r"no run in .*run\.json.*distill train"):
        find_runs([tmp_path])


def test_overrides_that_vary_become_columns_and_others_do_not(tmp_path: Path, leave: Leave):
    leave("s/0", three(T=1.0), {"T": "1", "lr": "0.1", "dataset.limit_train": "300"})
    leave("s/1", three(T=2.0), {"T": "2", "lr": "0.2", "dataset.limit_train": "300"})
    df = collect([tmp_path]).rows
    assert list(df.columns[-2:]) == ["error", "lr"]
    assert varying(df) == ["T", "lr"]


def test_teacher_and_baseline_appear_once_by_signature(tmp_path: Path, leave: Leave):
    for i, T in enumerate((1.0, 2.0, 4.0)):
        rows = three(T=T)
        rows[0]["reused"] = rows[1]["reused"] = i != 1
        leave(f"s/{i}", rows, {"T": str(T), "lr": str(i)})
    df = unique(collect([tmp_path]).rows)
    assert sorted(df["role"]) == ["baseline", "student", "student", "student", "teacher"]
    shared = df[df["role"] != "student"]
    assert not shared["reused"].any()
    assert set(shared["lr"]) == {""}


def test_an_unfinished_run_is_a_student_row_with_its_reason_and_no_numbers(leave: Leave):
    run = leave("r/0", three()[:1], {"T": "-1", "seed": "3"}, status="failed", error="T=-1 is not allowed.")
    df = collect([run]).rows
    assert list(df["role"]) == ["teacher", "student"]
    row = df.iloc[1]
    assert (row["status"], row["error"], row["T"], row["seed"]) == (
        "failed",
        "T=-1 is not allowed.",
        -1.0,
        3.0,
    )
    assert all(math.isnan(row[name]) for name in ("accuracy", "params", "gain"))


def test_a_failed_job_without_a_T_does_not_make_T_vary(tmp_path: Path, leave: Leave):
    leave("s/0", three(), {"seed": "0"})
    leave("s/1", None, {"seed": "1"}, status="failed", error="no")
    assert varying(collect([tmp_path]).rows) == []


@pytest.mark.parametrize("text", ["{not json", "[]", "{}", "\x00"])
def test_a_corrupt_record_is_skipped_with_a_warning(tmp_path: Path, leave: Leave, text: str):
    leave("s/0", three())
    (leave("s/1", three()) / "run.json").write_text(text)
    found = collect([tmp_path])
    assert len(found.runs) == 1
    assert len(found.warnings) == 1
    assert "run.json" in found.warnings[0]


def test_a_corrupt_table_is_skipped_with_a_warning(tmp_path: Path, leave: Leave):
    leave("s/0", three())
    (leave("s/1", three()) / "results.csv").write_text("role,params\nteacher,x\n")
    found = collect([tmp_path])
    assert len(found.rows) == 3
    assert "params=x" in found.warnings[0]


def test_nothing_readable_is_an_error(leave: Leave):
    run = leave("s/0", three())
    (run / "run.json").write_text("?")
    with pytest.raises(DistillError, match=r"run\.json"):
        collect([run])


def test_a_run_whose_process_is_gone_is_not_called_running(leave: Leave):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    statuses = {}
    for name, pid, host in (
        ("gone", ended.pid, platform.node()),
        ("alive", os.getpid(), platform.node()),
        ("far", 1, "x"),
    ):
        record = leave(f"r/{name}", three(), status="running") / "run.json"
        facts = json.loads(record.read_text(encoding="utf-8"))
        record.write_text(json.dumps({**facts, "process": {"pid": pid, "host": host}}), encoding="utf-8")
        statuses[name] = collect([record.parent]).runs[0]["status"]
    assert statuses == {"gone": "interrupted", "alive": "running", "far": "running"}
