"""The jobs of a grid sweep, composed in short: the same configs that Hydra composes, without its waiting."""

from __future__ import annotations

from collections.abc import Iterator

import hydra
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from distill.config import tree
from distill.experiments import grid
from distill.experiments.saved import REGISTRIES


def sweep(*words: str) -> DictConfig:
    global_hydra = GlobalHydra.instance().hydra
    assert global_hydra is not None
    return global_hydra.compose_config("train", list(words), RunMode.MULTIRUN, with_log_configuration=False)


@pytest.fixture(autouse=True)
def composing() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(tree.folder()), version_base="1.3"):
        yield


def found(*words: str) -> list[str]:
    return grid.problems(sweep(*words), GlobalHydra.instance().config_loader(), REGISTRIES)


@pytest.mark.parametrize(
    "words",
    [
        ("T=1,4", "seed=0,1", "hparams=smoke"),
        ("method=hinton,fitnet", "hparams.student.lr=0.1,0.2", "model@student=mlp_32,cnn_student"),
        ("dataset.classes=[1,2],[3]", "~store.dir", "+hparams.note=a,b"),
        ("hparams.student.lr=1", "hparams.student={lr:0.1},{lr:0.2,epochs:3}"),
        ("experiment=tune", "hydra/sweeper=basic", "hydra.sweeper.params=null", "T=1,2"),
        ("T=range(1,4)", "method=glob(hint*)"),
    ],
)
def test_each_config_is_the_one_that_hydra_composes_for_the_job(words):
    config, loader = sweep(*words), GlobalHydra.instance().config_loader()
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    parsed = OverridesParser.create(loader).parse_overrides([*params, *config.hydra.overrides.task])
    theirs = [loader.load_sweep_config(config, job) for job in BasicSweeper.split_arguments(parsed, None)[0]]
    ours = list(grid._jobs(config, loader))
    assert len(ours) == len(theirs) > 1
    for own, whole in zip(ours, theirs, strict=True):
        whole = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        assert OmegaConf.to_container(own) == OmegaConf.to_container(whole)


def test_each_value_that_is_not_allowed_is_told_once():
    assert found("T=0,1", "seed=0,1", "hparams.batch_size=0,8") == [
        "T=0 is not allowed: it must be greater than 0.",
        "hparams.batch_size=0 is not allowed: it must be greater than or equal to 1.",
    ]


def test_what_only_some_combinations_break_is_found():
    words = ("hparams.student.schedule=cosine", "hparams.student.lr=0.1,0.01", "hparams.student.min_lr=0.05,0.001")
    assert found(*words) == [
        "hparams.student.min_lr=0.05 is not allowed: it must be at most lr=0.01.",
    ]


def test_of_very_many_jobs_each_value_is_checked(monkeypatch):
    monkeypatch.setattr(grid, "_ALL_OF_THEM", 5)
    checked: list[DictConfig] = []
    monkeypatch.setattr(grid, "check", lambda job, registries: checked.append(job))
    monkeypatch.setattr(grid, "plan", lambda config: [])
    assert found("T=1,2,3", "alpha=0.1,0.2", "seed=5,6") == []
    assert [(job["T"], job.alpha, job.seed) for job in checked] == [
        (1, 0.1, 5),
        (1, 0.1, 6),
        (1, 0.2, 5),
        (2, 0.1, 5),
        (3, 0.1, 5),
    ]


@pytest.mark.parametrize("word", ["epohcs=1,2", "T=interval(1,2)", "model@student=null,mlp_32", "method=hintom,none"])
def test_what_hydra_refuses_itself_is_left_to_it(word):
    assert found(word) == []
