"""The YAML tree as lists, hints and completion read it, without torch."""

import subprocess
import sys

import pytest

from distill.config import tree
from distill.config.words import did_you_mean


def test_a_choice_tells_its_summary_and_its_keys_with_their_defaults():
    hinton = next(choice for choice in tree.choices("method") if choice.name == "hinton")
    assert hinton.summary.startswith("Soft targets at temperature T")
    assert {"T": 4.0, "alpha": 0.9, "standardize": False}.items() <= hinton.keys.items()
    assert "method.T" not in hinton.keys  # it is the value of T


def test_a_choice_tells_its_facts_and_what_its_keys_mean():
    hinton = next(choice for choice in tree.choices("method") if choice.name == "hinton")
    assert hinton.fact("family") == "logits"
    assert hinton.fact("paper") == "Hinton, Vinyals, Dean 2015, https://arxiv.org/abs/1503.02531"
    assert hinton.fact("nothing") == ""
    assert hinton.meanings["T"] == "temperature, > 0"
    folder = next(choice for choice in tree.choices("dataset") if choice.name == "imagefolder")
    assert folder.meanings["dataset.keep"].endswith("by what is measured to be free")  # of three lines
    assert folder.meanings["dataset.workers"].startswith("auto (one per core)")


def test_keys_that_are_not_short_are_spelled_as_on_the_command_line():
    soft_hard = next(choice for choice in tree.choices("method") if choice.name == "soft_hard")
    weights = {"T": 4.0, "method.soft_weight": 1.0, "method.hard_weight": 1.0}
    assert weights.items() <= soft_hard.keys.items()


def test_a_short_key_belongs_to_the_methods_that_use_it():
    assert {"hinton", "soft_hard"} <= set(tree.owners("T"))
    assert "hinton" in tree.owners("alpha")
    assert not {"none", "logits"} & {*tree.owners("T"), *tree.owners("alpha")}
    assert tree.owners("seed") == []


@pytest.mark.parametrize(
    "key",
    [
        *("seed", "T", "alpha", "store.reuse", "store.dir", "hparams.lr", "hparams.teacher.lr", "dataset.val_fraction"),
        *("dataset.root", "student.widths", "teacher.depth", "teacher.seed", "method.T", "method.soft_weight"),
        *("method.weight", "model@teacher", "model@student", "method", "dataset", "hparams"),
    ],
)
def test_known_keys_hold_what_the_command_line_takes(key):
    assert key in tree.known_keys()


@pytest.mark.parametrize(
    "key", ["model", "hydra.run.dir", "defaults", "model.widths", "widths", "root", "dataset.hparams.lr"]
)
def test_known_keys_lack_what_it_does_not_take(key):
    assert key not in tree.known_keys()


def test_the_networks_are_mounted_and_other_groups_stand_under_their_name():
    assert tree.mounts("model") == ["teacher", "student"]
    assert tree.mounts("dataset") == ["dataset"]
    assert {"model", "dataset", "method", "hparams"} <= set(tree.groups())
    assert "hydra" not in tree.groups()


@pytest.mark.parametrize(
    ("word", "hint"),
    [("sed", " (did you mean 'seed'?)"), ("t", " (did you mean 'T'?)"), ("qqq", ""), ("seed", "")],
)
def test_a_near_word_is_offered_and_never_the_word_itself(word, hint):
    assert did_you_mean(word, ["seed", "T"]) == hint


def test_reading_the_tree_and_checking_a_run_import_no_torch():
    modules = ["tree", "listing", "explain", "words", "options", "schema", "compose", "registry"]
    code = "; ".join([*(f"import distill.config.{module}" for module in modules), "import sys"])
    code += "; print(sorted({'torch', 'torchvision', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
