"""A composed config becomes a typed run, or a list of all that is wrong with it, in the user's own words."""

import pytest
from omegaconf import OmegaConf

from distill.config.compose import Registries, check
from distill.data import datasets
from distill.errors import ConfigError
from distill.methods import methods
from distill.methods.hinton import HintonOptions
from distill.models import models
from distill.models.networks.mlp import MlpOptions
from distill.tracking import trackers


def test_a_run_is_typed_down_to_its_networks_and_method(checked):
    config = checked("T=2", "alpha=0.3", "model@student=mlp", "student.widths=[7,5]", "seed=3")
    assert config.method == HintonOptions(T=2.0, alpha=0.3)
    assert config.student == MlpOptions(name="mlp", widths=[7, 5], seed=3)
    assert config.run.seed == 3


def test_a_role_follows_the_common_hparams_until_it_has_its_own(checked):
    config = checked("hparams.epochs=7", "hparams.teacher.lr=0.5", "precision=bf16", "hparams.student.precision=fp32")
    assert (config.teacher_hparams.epochs, config.student_hparams.epochs) == (7, 7)
    assert (config.teacher_hparams.lr, config.student_hparams.lr) == (0.5, 0.002)
    assert (config.teacher_hparams.precision, config.student_hparams.precision) == ("bf16", "fp32")


def test_a_teacher_keeps_its_seed_while_that_of_the_run_varies(checked):
    config = checked("seed=5", "teacher.seed=0")
    assert (config.teacher.seed, config.student.seed, config.run.seed) == (0, 5, 5)


def test_everything_wrong_is_told_together_each_by_the_key_the_user_would_write(problems):
    found = problems(
        "T=-1", "alpha=2", "hparams.lr=0", "seed=-3", "student.widths=[0]", "dataset.val_fraction=1", "store.reuse=3"
    )
    assert sorted(sentence.partition(" is not allowed: ")[0] for sentence in found) == [
        "T=-1",
        "alpha=2",
        "dataset.val_fraction=1",
        "hparams.lr=0",
        "seed=-3",
        "store.reuse=3",
        "student.widths[0]=0",
    ]


@pytest.mark.parametrize(
    ("word", "allowed"),
    [
        ("T=0", "greater than 0"),
        ("T=abc", "a number"),
        ("T=true", "a number"),
        ("T=null", "a number"),
        ("T=nan", "a finite number"),
        ("alpha=-0.1", "greater than or equal to 0"),
        ("hparams.epochs=-1", "greater than or equal to 1 or 'auto'"),
        ("hparams.epochs=1.5", "a whole number or 'auto'"),
        ("hparams.epochs=soon", "a whole number or 'auto'"),
        ("hparams.batch_size=0", "greater than or equal to 1"),
        ("hparams.optimizer=sdg", "'sgd', 'nesterov', 'adam' or 'adamw'"),
        ("hparams.student.label_smoothing=1", "less than 1"),
        ("hparams.teacher.lr=-1", "greater than 0"),
        ("hparams.precision=fp8", "'auto', 'fp32', 'bf16' or 'fp16'"),
        ("precision=fp8", "'auto', 'fp32', 'bf16' or 'fp16'"),
        ("dataset.classes=3", "a list"),
        ("dataset.augment=flip", "'none', 'jitter' or 'crop_flip'"),
        ("dataset.jitter=1.5", "a whole number"),
        ("student.checkpoint=3", "a string"),
        ("student.dropout=1", "less than 1"),
        ("verbosity=loud", "'normal' or 'quiet'"),
        ("hparams.student=3", "a group of keys"),
        ("store=3", "a group of keys"),
        ("student=mlp_64", "a group of keys; model@student=NAME chooses a network"),
    ],
)
def test_one_sentence_says_what_was_given_and_what_is_allowed(word, allowed, problems):
    assert problems(word) == (f"{word} is not allowed: it must be {allowed}.",)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["student.train=false"], "student.train=false is not allowed: the student is what is trained."),
        (["teacher.train=false"], "teacher.train=false needs weights: give teacher.checkpoint=FILE."),
        (
            ["hparams.warmup_epochs=5", "hparams.epochs=3"],
            "hparams.warmup_epochs=5 is not allowed: it must be less than epochs=3.",
        ),
        (
            ["hparams.teacher.schedule=multistep"],
            "hparams.milestones=[] is not allowed with schedule=multistep: give epochs, such as [30,40].",
        ),
        (
            ["hparams.schedule=multistep", "hparams.milestones=[5,3]"],
            "hparams.milestones=[5, 3] is not allowed: the epochs must rise.",
        ),
        (["hparams.min_lr=1"], "hparams.min_lr=1 is not allowed: it must be at most lr=0.002."),
        (
            ["hparams.optimizer=nesterov", "hparams.momentum=0"],
            "hparams.momentum=0 is not allowed with optimizer=nesterov: it must be greater than 0.",
        ),
        (["+bogus=1"], "There is no key bogus."),
        (["+sed=1"], "There is no key sed (did you mean 'seed'?)."),
        (["+hparams.lrr=1"], "There is no key hparams.lrr (did you mean 'lr'?)."),
        (["hparams.limit_test=0"], "hparams.limit_test=0 is not allowed: it must be greater than or equal to 1."),
        (["+student.widhts=[3]"], "There is no key student.widhts (did you mean 'widths'?)."),
        (["T=${sede}"], "${sede} refers to nothing: there is no key sede (did you mean 'seed'?)."),
        (["T=???"], "T has no value: give T=..."),
        (["~T"], "${T} refers to nothing: there is no key T."),
    ],
)
def test_mistakes_in_combination(words, sentence, problems):
    assert problems(*words) == (sentence,)


@pytest.mark.parametrize(("key", "kind"), [("student", "model"), ("dataset", "data set"), ("method", "method")])
def test_an_unknown_name_is_told_with_those_that_are_known(key, kind, problems):
    (sentence,) = problems(f"{key}.name=foo")
    assert sentence.startswith(f"{key}.name: There is no {kind} called 'foo'; known: ")


def test_a_missing_value_is_asked_for():
    config = OmegaConf.create({"teacher": {"widths": "???"}, "seed": 0})
    with pytest.raises(ConfigError, match=r"^teacher\.widths has no value: give teacher\.widths=\.\.\.$"):
        check(config, Registries(models, datasets, methods, trackers))
