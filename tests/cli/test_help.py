"""What the commands say of themselves, how they end, and what they do not import."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import distill as package


def test_help_names_every_command_and_where_results_go(distill):
    ended = distill("--help")
    assert ended.code == 0
    assert ended.err == ""
    assert all(f"distill {command}" in ended.out for command in ("train", "report", "list", "store"))
    assert len(re.findall(r"^  distill train .*", ended.out, re.M)) >= 3
    assert "outputs/" in ended.out
    assert distill().out == distill("-h").out == distill("help").out == ended.out


@pytest.mark.parametrize("command", ["report", "list", "store"])
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
        ("methods", ["none", "hinton", "soft_hard", "logits", "hard_teacher", "T=4.0", "alpha=0.9"]),
        ("hparams", ["default", "smoke", "hparams.epochs=auto"]),
        ("experiments", []),
    ],
)
def test_lists_show_names_and_their_options(distill, kind, names):
    ended = distill("list", kind)
    assert (ended.code, ended.err, ended.left) == (0, "", ())
    assert set(names) <= set(ended.out.split())


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


def test_what_only_looks_imports_no_torch(distill, tmp_path):
    """`report` reads a run that an earlier command left."""
    assert distill("train", "hparams=smoke", "verbosity=quiet").code == 0
    lines = ["--help", "--version", "report --help", "list models", "list methods", "list experiments"]
    lines += ["train --cfg job", "-sc query=bash", "report outputs"]
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
