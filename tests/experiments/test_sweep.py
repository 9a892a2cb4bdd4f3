"""Sweeps: one teacher and one baseline for all, one table, and failures that stay where they are."""

from collections import Counter

import pytest

from distill.experiments import grid

GRID = ("-m", "T=1,4", "alpha=0.3,0.7", "hparams=smoke", "verbosity=quiet")
OVERFLOWS = "1e200"  # a temperature that is allowed, and makes the loss infinite


def test_a_sweep_trains_one_teacher_one_baseline_and_a_student_for_each_setting(train, read_table):
    sweep = train(*GRID)
    assert sweep.code == 0
    jobs = sorted(path.parent for path in sweep.folder.glob("*/results.csv"))
    assert len(jobs) == 4
    trained = Counter(
        row["role"] for job in jobs for row in read_table(job / "results.csv") if row["reused"] == "false"
    )
    assert trained == {"teacher": 1, "baseline": 1, "student": 4}

    students = [row for row in sweep.rows if row["role"] == "student"]
    assert {(float(row["T"]), float(row["alpha"])) for row in students} == {(1, 0.3), (1, 0.7), (4, 0.3), (4, 0.7)}
    assert {row["run"].rpartition("/")[2] for row in students} == {job.name for job in jobs}
    assert len({row["signature"] for row in sweep.rows if row["role"] == "teacher"}) == 1

    (heat_map,) = sweep.folder.glob("*.png")
    assert {"T", "alpha"} <= set(heat_map.stem.split("_"))
    assert "| student |" in (sweep.folder / "report.md").read_text(encoding="utf-8")


def test_the_flag_of_a_sweep_may_stand_anywhere(train):
    sweep = train("hparams=smoke", "T=1,4", "-m", "verbosity=quiet")
    assert sweep.code == 0
    assert len(list(sweep.folder.glob("*/results.csv"))) == 2


def test_a_sweep_that_trains_anew_still_trains_its_teacher_once(train, read_table):
    train(*GRID)
    sweep = train("-m", "T=1,4", "hparams=smoke", "verbosity=quiet", "store.reuse=false")
    rows = [row for path in sweep.folder.glob("*/results.csv") for row in read_table(path)]
    assert Counter(row["role"] for row in rows if row["reused"] == "false") == {
        "teacher": 1,
        "baseline": 1,
        "student": 2,
    }


def test_a_failed_job_does_not_stop_the_others_and_is_marked(train):
    sweep = train("-m", f"T={OVERFLOWS},1,2", "hparams=smoke", "verbosity=quiet")
    assert sweep.code == 2
    assert sweep.said.rstrip().endswith("distill: 1 of 3 jobs failed; the table says why.")
    status = {float(row["T"]): row["status"] for row in sweep.rows if row["role"] == "student"}
    assert status == {float(OVERFLOWS): "failed", 1.0: "finished", 2.0: "finished"}
    (failed,) = (row for row in sweep.rows if row["status"] == "failed")
    assert failed["error"].startswith("The loss of the student is")
    assert failed["accuracy"] == ""
    assert "The loss of the student is" in (sweep.folder / "report.md").read_text(encoding="utf-8")
    assert [path.name for path in sweep.folder.glob("*.png")] == ["accuracy_T.png"]


@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=stacked",)], ids=["one by one", "stacked"])
def test_values_that_are_not_allowed_are_all_told_before_anything_trains(train, tmp_path, launcher):
    sweep = train("-m", "T=1,0,x", "alpha=0.5,2", "method=hinton,dkd", "dkd_beta=-1", "seed=0,1", *launcher)
    assert sweep.code == 2
    assert "There is no key" in sweep.said  # which only Hydra can tell, and does as ever
    sweep = train("-m", "T=1,0,x", "alpha=0.5,2", "seed=0,1", "hparams.student.lr=-1", *launcher)
    assert sweep.code == 2
    assert sorted(sweep.said.splitlines()) == [
        "distill: T=0 is not allowed: it must be greater than 0.",
        "distill: T=x is not allowed: it must be a number.",
        "distill: alpha=2 is not allowed: it must be less than or equal to 1.",
        "distill: hparams.student.lr=-1 is not allowed: it must be greater than 0.",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_that_goes_on_is_not_refused_for_what_an_earlier_version_let_begin(train, monkeypatch):
    sweep = train("-m", "T=1", "hparams=smoke", "verbosity=quiet")
    monkeypatch.setattr(grid, "problems", lambda *given: ["T=1 is not allowed."])
    assert train("-m", "T=1").code == 2
    again = train(f"resume={sweep.folder}")
    assert again.code == 0
    assert "not allowed" not in again.said


def test_a_job_that_fails_while_it_trains_is_marked_too(train):
    sweep = train("-m", "hparams.optimizer=sgd,adamw", "hparams.lr=1e30", "hparams=smoke", "verbosity=quiet")
    assert sweep.code == 2
    reasons = [row["error"] for row in sweep.rows if row["status"] == "failed"]
    assert any(reason.startswith("The loss of the teacher is") for reason in reasons)


@pytest.mark.parametrize("words", [("-m", "T=1,2", "method=hinton,none"), ("-m", "epohcs=1,2")])
def test_a_sweep_that_cannot_be_composed_runs_no_job_and_leaves_nothing(train, tmp_path, words):
    assert train(*words).code == 2
    assert list(tmp_path.iterdir()) == []


def test_sweeps_do_not_share_a_folder(train):
    first, second = (train("-m", "T=1", "hparams=smoke", "verbosity=quiet").folder for _ in range(2))
    assert first != second
