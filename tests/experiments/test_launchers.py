"""Sweeps whose jobs run in other processes, and searches: one store, one table, one sentence for what is missing."""

import importlib.util
import json
import signal
import subprocess
import sys
from collections import Counter

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from distill.config import tree
from distill.config.explain import missing_plugin
from distill.experiments.job import Job

LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm", "ray")
QUICK = ("hparams=smoke", "verbosity=quiet")


def has(extra: str) -> bool:
    return importlib.util.find_spec("hydra_plugins") is not None and (
        importlib.util.find_spec(f"hydra_plugins.hydra_{extra}") is not None
    )


def settings(*words: str):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(tree.folder()), version_base="1.3"):
        return compose("train", [*words], return_hydra_config=True).hydra


@pytest.mark.filterwarnings("ignore:\\s*'hydra/launcher/")
@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_has_a_file_of_ours_that_names_its_plugin_and_its_extra(name):
    extra = name.partition("_")[0]
    assert settings(f"hydra/launcher={name}").launcher._target_.startswith(f"hydra_plugins.hydra_{extra}_launcher.")
    text = (tree.folder() / "hydra" / "launcher" / f"{name}.yaml").read_text(encoding="utf-8")
    assert f"pip install 'distill[{extra}]'" in text


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["hydra/launcher=joblib"], "joblib_launcher"),
        (["hydra/launcher=submitit_local"], "submitit_launcher"),
        (["hydra/launcher=ray"], "ray_launcher"),
        (["experiment=tune"], "optuna_sweeper"),
    ],
)
def test_an_extra_that_is_not_installed_is_named_in_one_sentence(train, words, extra):
    if has(extra):
        pytest.skip("the extra is installed, so that nothing is missing")
    ended = train("-m", *words, "T=1,2")
    name = extra.partition("_")[0]
    assert ended.said == f"distill: {words[0]} needs an extra: pip install 'distill[{name}]'.\n"
    assert ended.code == 2
    assert not ended.folder.joinpath("outputs").exists()


def test_the_sentence_about_an_extra_names_what_was_asked_for():
    error = RuntimeError("Unknown plugin class : 'hydra_plugins.hydra_submitit_launcher.submitit_launcher.Slurm'")
    told = missing_plugin(error, ["-m", "T=1", "hydra/launcher=submitit_slurm"])
    assert told == "hydra/launcher=submitit_slurm needs an extra: pip install 'distill[submitit]'."
    assert missing_plugin(RuntimeError("another"), []) is None


def test_a_launcher_that_does_not_exist_is_told_with_those_that_do(train):
    ended = train("-m", "hydra/launcher=jobli", "T=1,2")
    assert ended.code == 2
    assert ended.said.startswith("distill: hydra/launcher=jobli is not allowed (did you mean 'joblib'?): it must be ")
    assert "submitit_slurm" in ended.said


def test_the_ready_search_holds_examples_out_and_repeats_itself():
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(tree.folder()), version_base="1.3"):
        composed = compose("train", ["experiment=tune"], return_hydra_config=True)
    sweeper = composed.hydra.sweeper
    assert composed.dataset.val_fraction == 0.2
    assert (sweeper.direction, sweeper.n_trials, sweeper.storage) == ("maximize", 20, None)
    assert sweeper.sampler == {"_target_": "optuna.samplers.TPESampler", "seed": 0}
    assert set(sweeper.params) == {"T", "alpha", "hparams.student.lr"}


def test_a_search_without_validation_examples_is_refused_before_it_begins(train, tmp_path):
    ended = train("-m", "experiment=tune", "dataset.val_fraction=0")
    assert ended.code == 2
    assert ended.said.count("\n") == 1
    assert "give dataset.val_fraction=0.2" in ended.said
    assert list(tmp_path.iterdir()) == []


def test_a_job_answers_with_the_accuracy_on_validation_examples_of_its_last_epoch(train):
    held_out = train(*QUICK, "dataset.val_fraction=0.2")
    rows = (held_out.folder / "metrics.csv").read_text(encoding="utf-8").splitlines()
    last = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    assert (last["role"], last["epoch"]) == ("student", "2")
    assert held_out.facts["val_accuracy"] == float(last["val_accuracy"])
    assert train(*QUICK).facts["val_accuracy"] is None


@pytest.mark.skipif(not has("optuna_sweeper"), reason="needs the extra optuna")
def test_a_search_names_what_was_best_on_validation_examples(start, tmp_path):
    process = start("-m", "experiment=tune", "hydra.sweeper.n_trials=3", *QUICK)
    said = process.ended()
    assert process.returncode == 0, said
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sweep.glob("*/run.json")]
    best = max(found, key=lambda facts: facts["val_accuracy"])
    page = (sweep / "report.md").read_text(encoding="utf-8")
    assert f"did best on validation examples ({100 * best['val_accuracy']:.2f} %)" in page
    assert f"hydra/sweeper=basic hydra.sweeper.params=null T={best['overrides']['T']}" in page


@pytest.mark.skipif(not has("joblib_launcher"), reason="needs the extra joblib")
def test_processes_share_one_teacher_and_end_in_one_table(start, tmp_path, read_table):
    process = start("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "T=1e100,1,4", *QUICK)
    said = process.ended()
    assert process.returncode == 2, said
    lines = said.splitlines()
    assert "Warning" not in said
    began = [line for line in lines if line.endswith(" began")]
    assert len(set(began)) == len(began) > 0  # a job that is over between two looks is told of at its end alone
    assert sum("finished  student" in line for line in lines) == 2
    assert sum("failed  The loss of the student is" in line for line in lines) == 1
    assert lines[-1] == "distill: 1 of 3 jobs failed; the table says why."
    assert not any(" epoch " in line for line in lines if "failed" not in line)

    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    tables = [read_table(path) for path in sweep.glob("*/results.csv")]
    trained = Counter(row["role"] for rows in tables for row in rows if row["reused"] == "false")
    assert trained == {"teacher": 1, "baseline": 1, "student": 2}
    status = {row["T"]: row["status"] for row in read_table(sweep / "results.csv") if row["role"] == "student"}
    assert status == {"1e+100": "failed", "1.0": "finished", "4.0": "finished"}
    commands = {json.loads(path.read_text(encoding="utf-8"))["command"] for path in sweep.glob("*/run.json")}
    assert len(commands) == 1
    assert commands.pop().startswith("distill train -m hydra/launcher=joblib ")
    assert all((job / "log.txt").read_text(encoding="utf-8").startswith("job ") for job in sweep.glob("[0-9]_*"))


@pytest.mark.skipif(not has("joblib_launcher"), reason="needs the extra joblib")
def test_stopped_processes_save_and_the_sweep_goes_on_in_its_folder(start, tmp_path, read_table):
    words = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "T=1,4,8", "hparams.student.epochs=30")
    process = start(*words, "hparams.teacher.epochs=2", "dataset.limit_test=50", "hparams.student.batch_size=4")
    for line in process.said:
        if line.endswith(" began\n"):
            process.send_signal(signal.SIGTERM)
            break
    said = process.ended()
    assert process.returncode == 143, said
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert said.endswith(f"or distill train resume={sweep.relative_to(tmp_path)}, to continue.\n")
    left = [json.loads(path.read_text(encoding="utf-8")) for path in sweep.glob("*/run.json")]
    # None is called running or was killed; on a busy machine one may be done before the signal comes.
    assert "interrupted" in {facts["status"] for facts in left} <= {"interrupted", "finished"}

    process = start(f"resume={sweep}")
    said = process.ended()
    assert process.returncode == 0, said
    assert [path.name for path in (tmp_path / "outputs" / "sweeps").iterdir()] == [sweep.name]
    students = [row for row in read_table(sweep / "results.csv") if row["role"] == "student"]
    assert [(row["T"], row["status"]) for row in students] == [
        ("1.0", "finished"),
        ("4.0", "finished"),
        ("8.0", "finished"),
    ]


PREEMPTED = """
import json, os, signal, sys
from pathlib import Path
from hydra.core.global_hydra import GlobalHydra
from distill import cli
from distill.experiments import job

def requeue(number, frame):
    Path("requeued").write_text(json.loads(next(Path("outputs/runs").glob("*/run.json")).read_text())["status"])
    sys.exit(7)

signal.signal(signal.SIGUSR2, requeue)
signal.signal(signal.SIGTERM, lambda number, frame: None)

from distill.experiments import display
told = display.Display.epoch
def epoch(self, row, *rest):
    if row["role"] == "student" and row["epoch"] == 3:
        os.kill(os.getpid(), signal.SIGUSR2)
    return told(self, row, *rest)
display.Display.epoch = epoch
sys.argv = ["distill", "train", "hparams.teacher.epochs=2", "hparams.student.epochs=6"]
cli.main()
"""


def test_a_cluster_that_wants_the_machine_gets_the_job_saved_and_submitted_again(tmp_path, train):
    """submitit installs handlers like these before it calls the job."""
    done = subprocess.run([sys.executable, "-c", PREEMPTED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "requeued").read_text(encoding="utf-8") == "interrupted"
    assert len(list((tmp_path / "outputs" / "store").glob("student-*.partial"))) == 1
    again = train("hparams.teacher.epochs=2", "hparams.student.epochs=6")
    assert again.code == 0
    assert again.row("student")["epochs"] == "6"


def test_a_job_knows_its_command_wherever_it_runs():
    import pickle

    job = Job(["-m", "T=1,2"], ["output=there"])
    sent = pickle.loads(pickle.dumps(job))
    assert sent == job
    assert sent.process == job.process
