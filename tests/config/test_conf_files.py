"""The YAML files that ship: each composes, explains itself, and agrees with the code it configures."""

from dataclasses import fields
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from distill.config import tree
from distill.config.dataset_options import DatasetOptions
from distill.config.model_options import ModelOptions
from distill.config.options import Options
from distill.config.registry import defaults
from distill.config.schema import CheckpointOptions, Hparams, RunOptions, StoreOptions
from distill.methods import methods

# Nothing of these is on a machine that only runs tests, and nothing is read before a run begins.
REQUIRED = {
    "imagefolder": ["dataset.path=pictures"],
    "tensors": ["dataset.path=mine.npz"],
    "synthetic_regression": ["method=regression"],
    "regression": ["dataset=synthetic_regression"],
    "resnet50_mobilenetv2": ["dataset.path=pictures"],
    "imagenet/resnet34_resnet18": ["dataset.path=pictures"],
    "import": [f"{network}.path=distill.models.networks.mlp:build" for network in ("teacher", "student")],
}
CHOICES = [(group, choice.name) for group in tree.groups() for choice in tree.choices(group)]


def contents(name: str) -> dict[str, Any]:
    return yaml.safe_load((tree.folder() / name).read_text(encoding="utf-8"))


def own_keys(options: type[Options]) -> set[str]:
    return {field.name for field in fields(options)} - {"name"}


def standing(values: dict[str, Any]) -> dict[str, Any]:
    """The values that stand there themselves and do not refer to others."""
    return {key: value for key, value in values.items() if "${" not in str(value)}


def default_values(options: type[Options], keys: dict[str, Any]) -> dict[str, Any]:
    return {key: defaults(options)[key] for key in keys}


@pytest.mark.parametrize(("group", "name"), CHOICES, ids=lambda word: word)
def test_every_choice_composes_to_a_run_without_a_mistake(group, name, checked):
    words = [f"{group}@{mount}={name}" if mount != group else f"{group}={name}" for mount in tree.mounts(group)]
    checked(*words, *REQUIRED.get(name, []))


@pytest.mark.parametrize(("group", "name"), CHOICES, ids=lambda word: word)
def test_every_file_begins_with_one_line_that_says_what_it_is(group, name):
    lines = (tree.folder() / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    first = lines[lines[0].startswith("# @package")]
    assert first.startswith("# ")
    assert first.endswith((".", ":")) or "=" in first


def test_top_level_keys_are_those_of_a_run_with_the_defaults_of_the_code():
    values = contents("train.yaml")
    groups = {"defaults", "hydra", "store", "checkpoint", "teacher", "student", "dataset"}
    root = {key: value for key, value in values.items() if key not in groups}
    assert set(root) == own_keys(RunOptions)
    assert root == default_values(RunOptions, root)


@pytest.mark.parametrize(
    ("key", "options", "references"),
    [
        ("teacher", ModelOptions, {"seed": "${seed}"}),
        ("student", ModelOptions, {"seed": "${seed}"}),
        ("dataset", DatasetOptions, {"limit_test": "${hparams.limit_test}"}),
        ("store", StoreOptions, {"dir": "${output}/store"}),
        ("checkpoint", CheckpointOptions, {}),
    ],
)
def test_keys_common_to_all_options_of_a_group_have_the_defaults_of_the_code(key, options, references):
    values = contents("train.yaml")[key]
    assert set(values) == own_keys(options)
    assert values == {**default_values(options, values), **references}


def test_hparams_list_every_key_with_the_default_of_the_code():
    values = contents("hparams/default.yaml")
    roles = {role: values.pop(role) for role in ("teacher", "student")}
    assert values.pop("limit_test") == defaults(DatasetOptions)["limit_test"]
    assert set(values) == own_keys(Hparams)
    references = {key: f"${{{key}}}" for key in ("precision", "select", "sampler")}
    assert values == {**default_values(Hparams, values), **references}
    assert roles == {role: {key: f"${{..{key}}}" for key in values} for role in roles}


@pytest.mark.parametrize("name", [name for group, name in CHOICES if group == "hparams"])
def test_presets_of_hparams_use_known_keys(name):
    assert set(contents(f"hparams/{name}.yaml")) <= own_keys(Hparams) | {"defaults", "teacher", "student", "limit_test"}


def test_every_method_has_a_file_of_its_name():
    assert set(methods.names()) <= {choice.name for choice in tree.choices("method")}


@pytest.mark.parametrize("name", methods.names())
def test_a_method_file_lists_every_option_with_the_default_of_the_code(name):
    values = contents(f"method/{name}.yaml")
    options = methods.find(name).options
    # Beside its own keys a method may set keys of the data, such as how examples are mixed.
    own = {key: value for key, value in values.items() if key not in ("method", "dataset")}
    short = own if "method" in values else {}
    listed = values.get("method", values)
    assert listed.pop("name") == name
    assert set(listed) == own_keys(options)
    references = {key: value for key, value in listed.items() if key not in standing(listed)}
    assert references == {key: f"${{{key}}}" for key in short}
    assert {**listed, **short} == default_values(options, listed)


def test_store_follows_output(composed):
    assert composed("output=elsewhere").store.dir == "elsewhere/store"


def test_the_config_of_hydra_itself_composes():
    with initialize_config_dir(str(tree.folder()), version_base="1.3"):
        settings = compose("train", return_hydra_config=True).hydra
    assert "distill train" in settings.help.template
    excluded = OmegaConf.to_container(settings.job.config.override_dirname.exclude_keys)
    assert isinstance(excluded, list)
    assert set(excluded) <= {*tree.known_keys()}
