from pathlib import Path

import pytest

from distill.errors import DataError
from distill.files import write_bytes, write_text
from distill.results.columns import COLUMNS
from distill.results.rows import complete, read_csv, write_csv

from .conftest import network, three


def test_columns_are_those_of_the_design_in_order():
    identity = "run role model dataset method T alpha seed status"
    costs = "params adapters compression size_mb flops latency_ms latency_p99_ms throughput latency_batch_ms"
    costs += " latency_batch_p99_ms throughput_batch batch"
    right = "accuracy top5 errors accuracy_prior shift_prior accuracy_oracle shift_oracle"
    right += " accuracy_head accuracy_mid accuracy_tail forgetting val_accuracy r2 rmse val_r2 val_rmse"
    right += " nll brier ece ece_scaled temperature"
    faithful = "agreement kl agreement_wrong train_agreement train_kl train_agreement_wrong"
    derived = "gain recovered epochs epoch seconds memory_mb energy_wh precision device reused signature error"
    assert list(COLUMNS) == f"{identity} {costs} {right} {faithful} {derived}".split()


def test_gain_is_in_points_and_recovered_is_a_share():
    teacher, baseline, student = three(student=0.955, baseline=0.94, teacher=0.98)
    assert student["gain"] == pytest.approx(1.5)
    assert student["recovered"] == pytest.approx(0.375)
    assert [teacher["gain"], baseline["gain"], teacher["recovered"], baseline["recovered"]] == [None] * 4


@pytest.mark.parametrize(
    ("teacher", "student", "ratio"),
    [
        (2_395_210, 1_276_810, 1.88),
        (2_395_210, 318_010, 7.53),
        (1_554_954, 105_866, 14.69),
        (112_389, 3_589, 31.31),
    ],
)
def test_compression_is_the_teachers_parameters_over_this_networks(teacher: int, student: int, ratio: float):
    rows = complete([network("teacher", 0.9, teacher, "t"), network("student", 0.9, student, "s")])
    assert rows[0]["compression"] == 1.0
    assert rows[1]["compression"] == pytest.approx(ratio, abs=0.01)
    assert rows[1]["gain"] is None


@pytest.mark.parametrize("teacher", [0.94, 0.90])
def test_recovered_is_empty_when_the_teacher_is_not_better(teacher: float):
    student = three(teacher=teacher)[2]
    assert student["recovered"] is None
    assert student["gain"] == pytest.approx(1.5)


def test_rows_survive_the_file_with_their_types(tmp_path: Path):
    rows = three()
    rows[0]["reused"] = True
    rows[2]["signature"] = "1e5"
    rows[2]["error"] = 'a, "quoted"\nreason'
    read = read_csv(write_csv(rows, tmp_path / "results.csv"))
    for before, after in zip(rows, read, strict=True):
        assert after == {**dict.fromkeys(COLUMNS), **before}
    assert type(read[0]["params"]) is int


def test_keys_that_are_no_columns_follow_behind(tmp_path: Path):
    path = write_csv([{"role": "student", "lr": "0.1"}], tmp_path / "results.csv")
    assert path.read_text().splitlines()[0] == ",".join([*COLUMNS, "lr"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'role'"),
        ("a,b\n1,2\n", "no column 'role'"),
        ("role,params\nteacher,many\n", "params=many"),
        ("role,params\nteacher\n", "not as many cells"),
        ("role,reused\nteacher,perhaps\n", "reused=perhaps"),
    ],
)
def test_a_file_that_is_no_results_table_is_named(tmp_path: Path, text: str, said: str):
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_csv(path)


def test_binary_rubbish_is_an_error_of_ours(tmp_path: Path):
    path = write_bytes(tmp_path / "results.csv", b"\xff\xfe\x00role")
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(path)


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_text(tmp_path / "deep" / "a.txt", "old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
