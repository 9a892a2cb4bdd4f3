"""The recipes in conf/experiment: each says how it is run, and holds what was published for it."""

import re

import pytest
import yaml

from distill.config import tree

NAMES = [choice.name for choice in tree.choices("experiment")]
PAIRS = [name for name in NAMES if name.startswith("cifar100/") and name != "cifar100/protocol"]
LITERATURE = [name for name in NAMES if name in PAIRS or name.startswith(("imagenet", "hinton", "slides", "notebook"))]
PUBLISHED = sorted(tree.folder().glob("hydra/published/**/*.yaml"))
METHODS = {choice.name: choice.keys for choice in tree.choices("method")}


def opening(name: str) -> str:
    lines = (tree.folder() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("# "))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_opens_with_the_command_that_runs_it(name):
    commands = re.findall(r"distill train .*?experiment=(\S+)", opening(name))
    assert name in commands


@pytest.mark.parametrize("name", LITERATURE)
def test_a_recipe_of_the_literature_says_what_it_should_give_and_its_source(name):
    assert "Should give" in opening(name)
    assert "Source:" in opening(name)


def test_the_thirteen_usual_pairs_are_there_under_the_names_of_their_networks():
    assert len(PAIRS) == 13
    for name in PAIRS:
        text = (tree.folder() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
        chosen = {key: value for entry in yaml.safe_load(text)["defaults"][2:] for key, value in entry.items()}
        assert name == f"cifar100/{chosen['override /model@teacher']}_{chosen['override /model@student']}"


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_is_trained_by_the_published_protocol(name, checked):
    config = checked(f"experiment={name}")
    slow = name.endswith(("mobilenetv2", "shufflenetv1", "shufflenetv2"))
    assert (config.teacher_hparams.lr, config.student_hparams.lr) == (0.05, 0.01 if slow else 0.05)
    for hparams in (config.teacher_hparams, config.student_hparams):
        assert (hparams.epochs, hparams.batch_size, hparams.optimizer) == (240, 64, "sgd")
        assert (hparams.schedule, hparams.milestones, hparams.gamma) == ("multistep", [150, 180, 210], 0.1)
        assert (hparams.momentum, hparams.weight_decay) == (0.9, 0.0005)
    data = config.dataset
    assert (data.name, data.augment, data.padding, data.normalize) == ("cifar100", "crop_flip", 4, "given")
    assert (data.mean, data.std) == ([0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761])


@pytest.mark.parametrize(
    ("pair", "beta"),
    [("resnet56_resnet20", 2), ("resnet110_resnet32", 2), ("vgg13_vgg8", 6), ("resnet32x4_shufflenetv2", 8)],
)
def test_dkd_weighs_the_other_classes_as_published_for_the_pair(pair, beta, checked):
    assert checked(f"experiment=cifar100/{pair}", "method=dkd").method.non_target_weight == beta


@pytest.mark.parametrize(
    ("pair", "weight"),
    [("resnet56_resnet20", 0.6), ("resnet110_resnet32", 1), ("resnet32x4_shufflenetv2", 8), ("wrn_40_2_wrn_16_2", 5)],
)
def test_reviewkd_has_the_weight_published_for_the_pair(pair, weight, checked):
    assert checked(f"experiment=cifar100/{pair}", "method=reviewkd").method.weight == weight


def test_what_the_user_says_goes_before_what_was_published(checked):
    words = ("experiment=cifar100/resnet56_resnet20", "method=dkd")
    assert checked(*words, "method.non_target_weight=3", "T=9").method.non_target_weight == 3
    assert checked(*words, "T=9").method.T == 9


def test_a_method_without_published_settings_keeps_its_own(checked):
    alone, there = checked("method=soft_hard"), checked("experiment=cifar100/resnet56_resnet20", "method=soft_hard")
    assert alone.method == there.method


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_settings_belong_to_a_recipe_and_are_keys_of_their_method(path):
    experiment, _, method = path.relative_to(tree.folder() / "hydra" / "published").as_posix().rpartition("-")
    assert experiment in NAMES
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n# ")
    values = yaml.safe_load(text)
    keys = {*values, *(f"method.{key}" for key in values.pop("method", {}))} - {"method"}
    assert keys <= METHODS[method.removesuffix(".yaml")].keys()


def test_hinton_2015_shifts_pictures_for_the_teacher_alone(checked):
    config = checked("experiment=hinton2015")
    assert (config.teacher.widths, config.teacher.dropout, config.teacher.input_dropout) == ([1200, 1200], 0.5, 0.2)
    assert (config.student.widths, config.student.dropout, config.student.input_dropout) == ([800, 800], 0, 0)
    assert (config.dataset.augment, config.dataset.jitter, config.dataset.student_augment) == ("jitter", 2, "none")
    assert (config.method.T, config.method.alpha) == (20, 0.9)


def test_the_transfer_sets_of_hinton_2015_share_its_teacher(checked):
    whole, without, only = (checked(f"experiment=hinton2015{end}") for end in ("", "_no3", "_only78"))
    assert (without.dataset.omit_classes, only.dataset.classes) == ([3], [7, 8])
    for other in (without, only):
        assert (other.teacher, other.student, other.method) == (whole.teacher, whole.student, whole.method)
        assert (other.teacher_hparams, other.student_hparams) == (whole.teacher_hparams, whole.student_hparams)


def test_the_teacher_on_imagenet_is_taken_as_it_was_published(checked):
    config = checked("experiment=imagenet/resnet34_resnet18", "dataset.path=pictures")
    assert (config.teacher.train, config.teacher.source) == (False, "torchvision (IMAGENET1K_V1)")
    assert (config.method.T, config.method.alpha) == (1, 0.5)
    hparams = config.student_hparams
    assert (hparams.epochs, hparams.batch_size, hparams.lr, hparams.weight_decay) == (100, 256, 0.1, 0.0001)
    assert (hparams.schedule, hparams.step_epochs, config.dataset.size) == ("step", 30, 224)
