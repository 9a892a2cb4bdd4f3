"""What the commands say of themselves, how they end, and what they do not import."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

import distill as package
from distill.commands import COMMANDS

FAMILIES = ["reference", "logits", "features", "relations", "composition"]


def test_help_names_every_command_and_where_results_go(distill):
    ended = distill("--help")
    assert ended.code == 0
    assert ended.err == ""
    assert all(f"distill {command}" in ended.out for command in COMMANDS)
    assert len(re.findall(r"^  distill train .*", ended.out, re.M)) >= 3
    assert "outputs/" in ended.out
    assert distill().out == distill("-h").out == distill("help").out == ended.out


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "train"])
def test_help_of_a_command_shows_what_it_does_three_examples_and_where_results_go(distill, command):
    ended = distill(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    usage, examples = ended.out.split("Examples\n")
    assert f"distill {command}" in usage
    assert len(re.findall(rf"^  distill {command}", examples, re.M)) == 3
    assert distill("help", command).out == ended.out
    assert ended.left == ()


def test_help_of_train_shows_examples_groups_and_keys(distill):
    ended = distill("train", "--help")
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    for words in (
        "distill train method=hinton T=4",
        "outputs/runs",
        "method: ",
        "seed: 0",
        "--cfg job",
        "$(distill -sc",
    ):
        assert words in ended.out


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(distill, flag):
    assert distill(flag).out == f"distill {package.__version__}\n"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("models", ["mlp_400", "resnet20", "cnn_teacher", "tv_resnet50"]),
        ("datasets", ["digits", "mnist", "imagefolder", "synthetic"]),
        ("methods", ["none", "hinton", "soft_hard", "logits", "hard_teacher"]),
        ("hparams", ["default", "smoke"]),
        ("experiments", ["memorise", "cifar100/resnet56_resnet20"]),
        ("trackers", ["csv", "mlflow", "tensorboard", "wandb"]),
    ],
)
def test_lists_show_names(distill, kind, names):
    ended = distill("list", kind)
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    assert set(names) <= {line.split()[0] for line in ended.out.splitlines() if line.strip()}


def test_methods_are_listed_by_family_with_what_they_read_their_paper_and_its_year(distill):
    lines = [" ".join(line.split()) for line in distill("list", "methods").out.splitlines()]
    assert [line for line in lines if line in FAMILIES] == FAMILIES
    (hinton,) = (line for line in lines if line.startswith("hinton "))
    assert hinton.startswith("hinton Soft targets at temperature T next to hard labels.")
    assert hinton.endswith("logits Hinton, Vinyals, Dean 2015")
    assert lines.index("logits") < lines.index(hinton) < lines.index("features")


def test_a_narrow_terminal_shows_the_same_in_whole_words(distill, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = distill("list", "methods").out
    assert max(map(len, out.splitlines())) <= 80
    assert "reads logits; Hinton, Vinyals, Dean 2015" in out
    assert "Soft targets at temperature T next to hard labels." in out
    crd = distill("list", "methods", "crd").out
    assert "(contrastive\nrepresentation distillation)." in crd.replace(" \n", "\n")


def test_square_brackets_are_shown_as_they_are(distill):
    assert "'distill[timm]'" in distill("list", "models").out


def test_one_choice_is_listed_with_all_its_options_their_defaults_and_meanings(distill):
    ended = distill("list", "methods", "hinton")
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    assert "loss = (1 - alpha) * cross_entropy(student, labels) + alpha * T^2 * KL" in ended.out
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "T 4.0 temperature, > 0" in lines
    assert "alpha 0.9 weight of the soft term, 0..1" in lines
    assert any(line.startswith("standardize false true: logits of mean 0") for line in lines)
    network = distill("list", "models", "resnet20").out
    assert "widths" in network
    assert "teacher. or student. goes before" in network


def test_a_choice_that_is_not_there_is_told_with_the_nearest_one(distill):
    ended = distill("list", "methods", "hintn")
    assert (ended.code, ended.out) == (2, "")
    assert "There is no 'hintn' among the methods (did you mean 'hinton'?)" in ended.err


def test_cfg_job_prints_the_config_and_leaves_nothing(distill):
    ended = distill("train", "--cfg", "job", "T=2.5", "hparams.epochs=7")
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    assert "\nT: 2.5\n" in ended.out
    assert "  epochs: 7\n" in ended.out


def test_info_tells_where_hydra_looked(distill):
    ended = distill("train", "--info", "config")
    assert (ended.code, ended.left) == (0, ())
    assert "provider" in ended.out.casefold()


def test_a_folder_of_ones_own_adds_options(distill, tmp_path):
    (tmp_path / "mine" / "hparams").mkdir(parents=True)
    (tmp_path / "mine" / "hparams" / "tiny.yaml").write_text("defaults:\n  - default\n  - _self_\nepochs: 1\n")
    ended = distill("train", "--config-dir", "mine", "hparams=tiny", "--cfg", "job")
    assert ended.code == 0
    assert "  epochs: 1\n" in ended.out


def test_the_command_to_repeat_keeps_what_stands_in_square_brackets(distill):
    words = ["hparams=smoke", "method=fitnet", "model@student=mlp_64", "student.features=[hidden]", "verbosity=quiet"]
    ended = distill("train", *words)
    assert ended.code == 0, ended.err
    assert "student.features=[hidden]" in ended.out


def test_an_empty_store_is_no_mistake(distill):
    ended = distill("store", "ls")
    assert (ended.code, ended.left) == (0, ())
    assert "empty" in ended.out


def test_the_store_shows_and_forgets_networks(distill, tmp_path):
    assert distill("train", "hparams=smoke", "verbosity=quiet").code == 0
    shown = distill("store", "ls")
    assert (shown.code, shown.err, shown.left) == (0, "", ())
    assert {"teacher", "baseline", "student", "digits", "hinton"} <= set(shown.out.replace("-", " ").split())
    assert "3 networks" in shown.out
    removed = distill("store", "rm", "teacher-")
    assert removed.out.startswith("removed teacher-")
    assert len(list((tmp_path / "outputs" / "store").glob("*-*/meta.json"))) == 2
    assert distill("store", "rm", "--all").code == 0
    assert "empty" in distill("store", "ls").out
    reported = distill("report")
    assert reported.code == 0
    assert {"teacher", "baseline", "student"} <= set(reported.out.split())


LIGHT = """
import os, sys
from distill.cli import main
os.environ["COMP_LINE"] = "distill train method=h"
for line in sys.argv[1:]:
    sys.argv = ["distill", *line.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, line
    heavy = {"torch", "torchvision"} & sys.modules.keys()
    assert not heavy, f"{line} imports {heavy}"
"""


def test_what_only_looks_imports_no_torch(trained, tmp_path):
    """`report` and `card` read a run that an earlier command left."""
    run = shutil.copytree(trained, tmp_path / "outputs" / "runs" / "one")
    lines = ["--help", "--version", "report --help", "list models", "list methods", "list experiments"]
    lines += ["train --cfg job", "-sc query=bash", "report outputs", f"card {run}", "watch --once"]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *lines],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("COMP_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "distill", "tarin"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("distill: There is no command 'tarin'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["list", "models"], ["train", "--info"]])
def test_a_reader_that_goes_away_is_no_traceback(words):
    """As `distill list models | head -1` does."""
    command = [sys.executable, "-m", "distill", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 1, 141)  # 1 is rich's own answer
