"""`resume=FOLDER` goes on in the same folder with what was asked for there, and refuses everything else."""

import json
import shutil
import signal

import pytest

QUICK = ("hparams=smoke", "verbosity=quiet")
LONG = ("hparams.teacher.epochs=3", "hparams.student.epochs=20", "hparams.student.batch_size=4")


def _interrupt(process, number: signal.Signals) -> str:
    for line in process.said:
        if line.startswith("baseline") and "trained in" in line:  # so the student begins, with all of it to go
            process.send_signal(number)
            break
    said = process.ended()
    assert process.returncode == 128 + number, said
    return said


def test_an_interrupted_run_goes_on_in_its_own_folder(start, train, tmp_path):
    said = _interrupt(start(*LONG, "output='a b'"), signal.SIGTERM)
    (folder,) = (tmp_path / "a b" / "runs").iterdir()
    assert said.endswith(f"or distill train resume='a b/runs/{folder.name}', to continue.\n")
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"

    ended = train(f"resume=a b/runs/{folder.name}")
    assert ended.code == 0
    assert list((tmp_path / "a b" / "runs").iterdir()) == [folder]
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert facts["status"] == "finished"
    assert facts["words"] == [*LONG, "output='a b'"]
    assert "teacher   epoch" not in ended.said


def test_an_interrupted_sweep_does_not_repeat_the_jobs_that_finished(start, train, tmp_path):
    words = ("-m", "hparams.student.epochs=2,20", *LONG[::2])
    assert "resume=outputs/sweeps/" in _interrupt_second(start(*words))
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    first, second = (path.parent for path in sorted(sweep.glob("*/run.json")))
    before = (first / "run.json").read_text(encoding="utf-8")
    assert json.loads(before)["status"] == "finished"
    assert json.loads((second / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"

    ended = train(f"resume={sweep}")
    assert ended.code == 0
    assert (first / "run.json").read_text(encoding="utf-8") == before
    assert "job 0" not in ended.said
    table = (sweep / "results.csv").read_text(encoding="utf-8")
    assert table.count("finished") == len(table.splitlines()) - 1


def _interrupt_second(process) -> str:
    for line in process.said:
        if line.startswith("job 1"):
            break
    return _interrupt(process, signal.SIGINT)


def test_a_finished_run_prints_its_table_and_trains_nothing(train, capfd):
    first = train(*QUICK)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    ended = train(f"resume={first.folder}")
    assert ended.code == 0
    assert "nothing is left to do" in ended.said
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == before


@pytest.fixture
def folder(train):
    return train(*QUICK).folder


def test_more_words_beside_it_are_refused(train, folder):
    ended = train(f"resume={folder}", "T=2")
    assert ended.code == 2
    assert ended.said.count("\n") == 1
    assert "takes no other words, as T=2 would make it another experiment" in ended.said


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nowhere", "resume=nowhere is not allowed: there is no such folder"),
        (".", "resume=. is not allowed: no run has begun there, as it holds no run.json"),
        ("", "resume= is not allowed"),
    ],
)
def test_what_is_no_run_is_refused(train, tmp_path, given, sentence):
    ended = train(f"resume={given}")
    assert ended.code == 2
    assert ended.said.startswith(f"distill: {sentence}")
    assert ended.said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def _change(folder, **facts):
    path = folder / "run.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: value for key, value in {**told, **facts}.items() if value is not None}))


def test_a_record_that_does_not_say_what_was_asked_for_is_refused(train, folder):
    _change(folder, words=None)
    assert "does not say what was asked for" in train(f"resume={folder}").said
    (folder / "run.json").write_text("{ half")
    ended = train(f"resume={folder}")
    assert ended.code == 2
    assert "does not say what was asked for" in ended.said


def test_a_run_that_is_still_running_is_left_alone(train, folder):
    _change(folder, status="running")  # by this very process
    ended = train(f"resume={folder}")
    assert ended.code == 2
    assert "is still running, in process" in ended.said


def test_a_job_of_a_sweep_goes_on_with_its_sweep_only(train, tmp_path):
    sweep = train("-m", "T=1", *QUICK).folder
    (job,) = sweep.glob("0*/")
    ended = train(f"resume={job.relative_to(tmp_path)}")
    assert ended.code == 2
    assert f"continue all of it with resume={sweep.relative_to(tmp_path)}." in ended.said


def test_a_run_goes_on_where_it_was_started_though_asked_from_elsewhere(train, folder, tmp_path, monkeypatch):
    _change(folder, status="interrupted")
    shutil.rmtree(folder / "checkpoints")
    (tmp_path / "elsewhere").mkdir()
    ended = train(f"resume={folder}", here=tmp_path / "elsewhere")
    assert ended.code == 0
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (folder / "checkpoints" / "student.safetensors").exists()
    assert ended.said.count("reused from the store") == 3
