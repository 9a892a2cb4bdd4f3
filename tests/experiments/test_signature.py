import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from distill.config.dataset_options import DatasetOptions
from distill.config.registry import defaults
from distill.config.schema import Config
from distill.data import Dataset, datasets, load
from distill.experiments.plan import plan
from distill.experiments.signature import ingredients, signature
from distill.models import weights

TEACHER, BASELINE, STUDENT = "teacher", "baseline", "student"
ALL = {TEACHER, BASELINE, STUDENT}


def signatures(config: Config, data: Dataset | None = None, options: DatasetOptions | None = None) -> dict[str, str]:
    data = data or load(config.dataset)
    found: dict[str, str] = {}
    nodes = {node.role: node for node in plan(config)}
    for node in nodes.values():
        parents = [(nodes[role], found[role]) for role in node.parents]
        found[node.role] = signature(
            ingredients(node, options or config.dataset, data, node.hparams.precision, parents)
        )
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {role for role in before if before[role] != after.get(role)}


@pytest.fixture
def usual(configure):
    return signatures(configure())


@pytest.mark.parametrize(
    ("override", "roles"),
    [
        ("T=2", {STUDENT}),
        ("alpha=0.5", {STUDENT}),
        ("method=logits", {STUDENT}),
        ("hparams.lr=0.1", ALL),
        ("hparams.teacher.lr=0.1", {TEACHER, STUDENT}),
        ("hparams.teacher.epochs=3", {TEACHER, STUDENT}),
        ("hparams.student.lr=0.1", {BASELINE, STUDENT}),
        ("hparams.student.limit_examples=50", {BASELINE, STUDENT}),
        ("precision=bf16", ALL),
        ("seed=1", ALL),
        ("teacher.seed=1", {TEACHER, STUDENT}),
        ("student.seed=1", {BASELINE, STUDENT}),
        ("model@teacher=mlp_800", {TEACHER, STUDENT}),
        ("teacher.dropout=0.5", {TEACHER, STUDENT}),
        ("model@student=mlp_64", {BASELINE, STUDENT}),
        ("dataset.val_fraction=0.1", ALL),
        ("dataset.limit_train=500", ALL),
        ("dataset.imbalance=10", ALL),
        ("dataset.labelled=200", ALL),
        ("sampler=balanced", ALL),
        ("hparams.hard_loss=weighted", ALL),
        ("hparams.teacher.sampler=balanced", {TEACHER, STUDENT}),
        ("hparams.student.hard_loss=logit_adjusted", {BASELINE, STUDENT}),
        ("dataset.label_noise=0.1", ALL),
        ("dataset.augment=jitter", ALL),
        ("dataset.cutout=2", ALL),
        ("dataset.mixup=0.2", ALL),
        ("dataset.cutmix=1.0", ALL),
        ("dataset.normalize=none", ALL),
        ("dataset.limit_transfer=200", {BASELINE, STUDENT}),
        ("dataset.omit_classes=[3]", {BASELINE, STUDENT}),
        ("dataset.classes=[0,1]", {BASELINE, STUDENT}),
        ("dataset.transfer_augment=jitter", {BASELINE, STUDENT}),
    ],
)
def test_what_determines_the_weights_changes_the_signature_of_those_it_concerns(configure, usual, override, roles):
    assert changed(usual, signatures(configure(override))) == roles


@pytest.mark.parametrize(
    "override",
    [
        "device=cpu",
        "verbosity=quiet",
        "output=elsewhere",
        "store.dir=elsewhere",
        "store.reuse=false",
        "sampler=natural",
        "hparams.hard_loss=plain",
        "dataset.jitter=3",
        "dataset.padding=2",
        "T=4.0",
        "T=4",
    ],
)
def test_what_leaves_the_weights_alone_leaves_the_signature_alone(configure, usual, override):
    assert changed(usual, signatures(configure(override))) == set()


def test_which_epoch_is_kept_counts_unless_it_is_the_last(configure):
    held_out = "dataset.val_fraction=0.1"
    before = signatures(configure(held_out))
    assert signatures(configure(held_out, "select=last")) == before
    assert changed(before, signatures(configure(held_out, "select=best_val"))) == ALL
    assert changed(before, signatures(configure(held_out, "hparams.student.select=best_val"))) == {BASELINE, STUDENT}
    config = configure(held_out)
    node = plan(config)[0]
    made_of = ingredients(node, config.dataset, load(config.dataset), "auto", [])
    assert not {"select", "sampler", "hard_loss"} & set(made_of["hparams"])
    assert not {"imbalance", "labelled"} & set(made_of["data"])


def test_the_size_of_an_augmentation_counts_once_it_is_on(configure):
    small, large = (signatures(configure("dataset.augment=jitter", f"dataset.jitter={n}")) for n in (1, 2))
    assert changed(small, large) == ALL


def test_students_whose_pictures_stay_are_those_of_a_run_without_augmentation(configure, usual):
    moved = signatures(configure("dataset.augment=jitter"))
    still = signatures(configure("dataset.augment=jitter", "dataset.transfer_augment=none"))
    assert (still[TEACHER], still[BASELINE]) == (moved[TEACHER], usual[BASELINE])
    assert signatures(configure("dataset.augment=jitter", "dataset.transfer_augment=jitter")) == moved


def test_a_student_that_learns_from_blends_has_the_teacher_it_had(configure, usual):
    blended = signatures(configure("dataset.transfer_mixup=1"))
    assert changed(usual, blended) == {BASELINE, STUDENT}


def test_fixed_views_are_another_training_than_views_drawn_anew(configure):
    fresh, fixed = (signatures(configure("dataset.augment=jitter", f"dataset.views={k}")) for k in ("null", 2))
    assert changed(fresh, fixed) == ALL


def test_where_the_data_lie_does_not_matter(configure):
    config = configure()
    data = load(config.dataset)
    cls: Any = datasets.find("mnist").options
    at = [cls(**{**defaults(cls), "name": "mnist", "root": root}) for root in ("here", "there")]
    assert signatures(config, data, at[0]) == signatures(config, data, at[1])


def test_what_the_data_hold_does_matter(configure, tmp_path):
    values = {
        "x_train": np.arange(320.0).reshape(80, 4),
        "y_train": np.arange(80) % 2,
        "x_test": np.ones((4, 4)),
        "y_test": np.arange(4) % 2,
    }
    np.savez(tmp_path / "one.npz", **values)
    shutil.copy(tmp_path / "one.npz", tmp_path / "copy.npz")
    values["x_train"][0, 0] = 7.0
    np.savez(tmp_path / "other.npz", **values)
    one, copy, other = (
        signatures(configure("dataset=tensors", f"dataset.path={tmp_path / name}.npz"))
        for name in ("one", "copy", "other")
    )
    assert one == copy
    assert changed(one, other) == ALL


def test_a_fingerprint_counts_for_every_network(configure):
    config = configure()
    data = load(config.dataset)
    assert changed(signatures(config, data), signatures(config, replace(data, fingerprint="other"))) == ALL


def test_initial_weights_count_by_content_and_not_by_path(configure, tmp_path):
    def given(name: str, value: float) -> dict[str, str]:
        weights.save({"w": torch.full((3,), value)}, tmp_path / name)
        return signatures(configure(f"teacher.checkpoint={tmp_path / name}"))

    one, copy, other = given("a.safetensors", 1.0), given("b.safetensors", 1.0), given("c.safetensors", 2.0)
    assert one == copy
    assert changed(one, other) == {TEACHER, STUDENT}


def test_how_a_teacher_would_be_trained_does_not_matter_when_it_is_used_as_it_is(configure, tmp_path):
    weights.save({"w": torch.ones(3)}, tmp_path / "w.safetensors")
    as_it_is = ("teacher.train=false", f"teacher.checkpoint={tmp_path / 'w.safetensors'}")
    before = signatures(configure(*as_it_is))
    assert signatures(configure(*as_it_is, "hparams.teacher.lr=0.1")) == before
    assert changed(before, signatures(configure(as_it_is[1]))) == {TEACHER, STUDENT}


def test_taps_that_the_method_does_not_read_leave_every_signature_alone(configure, usual):
    assert signatures(configure("teacher.features=[hidden]", "student.embedding=classifier")) == usual


def test_a_given_teacher_is_one_network_whatever_the_seed_and_another_in_another_precision(configure, tmp_path):
    weights.save({"w": torch.zeros(1)}, tmp_path / "w.safetensors")
    given = (f"teacher.checkpoint={tmp_path / 'w.safetensors'}", "teacher.train=false")
    first, second = signatures(configure(*given, "seed=0")), signatures(configure(*given, "seed=1"))
    assert first[TEACHER] == second[TEACHER]
    other = signatures(configure(*given, "seed=0", "hparams.teacher.precision=bf16"))
    assert changed(first, other) == {TEACHER, STUDENT}


def test_a_network_of_ones_own_is_another_when_its_source_changes(configure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    source = "from torch import nn\ndef build(shape, classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear({}))\n"
    own = ("model@student=import", "student.path=signed_network:build")
    (tmp_path / "signed_network.py").write_text(source.format("64, classes"))
    before = signatures(configure(*own))
    assert signatures(configure(*own)) == before
    (tmp_path / "signed_network.py").write_text(source.format("64, classes, bias=False"))
    assert changed(before, signatures(configure(*own))) == {BASELINE, STUDENT}
