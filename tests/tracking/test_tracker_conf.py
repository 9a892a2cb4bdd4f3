"""What a user may say of trackers: files, defaults, mistakes."""

from __future__ import annotations

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from distill.config import tree
from distill.config.compose import Registries, check
from distill.config.registry import defaults
from distill.data import datasets
from distill.errors import ConfigError
from distill.methods import methods
from distill.models import models
from distill.tracking import trackers
from distill.tracking.tensorboard import TensorboardOptions
from distill.tracking.wandb import WandbOptions

NAMES = [choice.name for choice in tree.choices("tracker")]


def composed(*words: str, hydra: bool = False):
    with initialize_config_dir(str(tree.folder()), version_base="1.3"):
        return compose("train", list(words), return_hydra_config=hydra)


def checked(*words: str):
    return check(composed(*words), Registries(models, datasets, methods, trackers)).trackers


def test_every_tracker_has_a_file_with_every_option_and_the_default_of_the_code():
    assert trackers.names() == NAMES
    for name in NAMES:
        values = yaml.safe_load((tree.folder() / "tracker" / f"{name}.yaml").read_text(encoding="utf-8"))
        known = defaults(trackers.find(name).options) | {"name": name}
        resolved = OmegaConf.to_container(OmegaConf.create({"output": "outputs", **values}), resolve=True)
        assert isinstance(resolved, dict)
        assert {"name": name, **resolved[name]} == known


def test_none_one_or_several():
    assert checked() == ()
    assert [options.name for options in checked("tracker=csv")] == ["csv"]
    curves, others = checked("tracker=[tensorboard,wandb]", "tracker.wandb.mode=online", "output=there")
    assert curves == TensorboardOptions(name="tensorboard", dir="there/tracking/tensorboard")
    assert others == WandbOptions(name="wandb", mode="online", dir="there/tracking/wandb")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["tracker=wandb", "tracker.wandb.mode=on"],
            "tracker.wandb.mode=on is not allowed: it must be 'offline', 'online' or 'disabled'.",
        ),
        (
            ["tracker=mlflow", "tracker.mlflow.uri=ftp://x"],
            "tracker.mlflow.uri=ftp://x is not allowed: it must be a folder, the address of a server, or "
            "sqlite:///FILE.",
        ),
        (["tracker=csv", "+tracker.csv.dri=x"], "There is no key tracker.csv.dri (did you mean 'dir'?)."),
        (["tracker=csv", "tracker.csv=3"], "tracker.csv=3 is not allowed: it must be a group of keys."),
    ],
)
def test_one_sentence_says_what_is_wrong(words, sentence):
    with pytest.raises(ConfigError) as caught:
        checked(*words)
    assert caught.value.problems == (sentence,)


def test_no_key_of_a_tracker_is_part_of_the_name_of_a_job():
    keys = {"tracker", *(key for choice in tree.choices("tracker") for key in choice.keys)}
    excluded = composed(hydra=True).hydra.job.config.override_dirname.exclude_keys
    assert keys <= set(excluded)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["tracker=tensorbord"], ["did you mean 'tensorboard'?", "csv, mlflow, tensorboard, wandb"]),
        (["tracker=[csv,tensorbord]"], ["tracker=tensorbord", "did you mean 'tensorboard'?"]),
        (["tracker=[3]"], ["tracker=[3]", "distill list"]),
        (["tracker.csv.dir=x"], ["tracker.csv.dir", "it belongs to tracker=csv"]),
    ],
)
def test_a_mistake_ends_the_command_with_a_sentence(train, words, fragments):
    left = train(*words)
    assert left.code == 2
    (line,) = left.said.splitlines()
    assert all(fragment in line for fragment in fragments)
