"""A student that sees a view of what its teacher sees, and a teacher of another task."""

import numpy as np
import pytest
import torch
from PIL import Image

from distill.data.batches import Batches
from distill.data.dataset import load
from distill.data.sources.digits import DigitsOptions
from distill.data.variants import variant
from distill.experiments import run as runs
from distill.experiments.saved import open_run

SMALL = ("hparams=smoke", "verbosity=quiet", "model@teacher=mlp_64", "model@student=mlp_32")


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr("distill.experiments.run_folder.RunFolder.draw", lambda self: None)


def test_the_teacher_sees_the_picture_and_the_student_its_view_while_learning_and_when_measured(train):
    left = train("method=lupi", "dataset.student_view=downsample4", *SMALL)
    saved = open_run(left.folder)
    assert [saved.seen_by(role).input_shape for role in saved.nodes] == [(1, 8, 8), (1, 4, 4), (1, 4, 4)]
    assert left.row("baseline")["params"] == left.row("student")["params"] == str(16 * 32 + 32 + 32 * 10 + 10)
    assert train("method=hinton", *SMALL).row("teacher")["reused"] == "true"


def test_a_view_is_what_its_name_says():
    options = DigitsOptions()
    whole = load(options)
    small = variant(whole, options, "view:downsample4")
    by_hand = whole.test.tensor.float().unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)).round()
    torch.testing.assert_close(small.test.tensor.float(), by_hand)
    middle = variant(whole, options, "view:crop4").test.tensor
    assert torch.equal(middle, whole.test.tensor[..., 2:6, 2:6])
    flat = torch.full((1, 1, 5, 5), 7.0)
    view = variant(whole, options, "view:edges").view
    assert view is not None
    assert view.look(flat).abs().max() == 0


def test_what_only_the_teacher_sees_is_not_read_when_the_student_is_measured(train, monkeypatch):
    words = ("method=lupi", "dataset.student_view=crop4", *SMALL)
    honest = train(*words)

    def scrambled(options):
        data = load(options)
        outside = torch.ones(8, 8, dtype=torch.bool)
        outside[2:6, 2:6] = False
        data.test.tensor[..., outside] = 16 - data.test.tensor[..., outside]
        return data

    monkeypatch.setattr(runs, "load", scrambled)
    monkeypatch.setattr(runs, "_last", None)
    other = train(*words, "store.dir=elsewhere")
    monkeypatch.setattr(runs, "_last", None)
    for role in ("baseline", "student"):
        assert other.row(role)["accuracy"] == honest.row(role)["accuracy"]
        assert other.row(role)["nll"] == honest.row(role)["nll"]
    assert other.row("teacher")["nll"] != honest.row("teacher")["nll"]


def test_shifts_are_the_same_for_teacher_and_student(train):
    left = train("method=lupi", "dataset.student_view=crop4", "dataset.transfer_augment=jitter", *SMALL)
    assert left.code == 0
    assert left.facts["teacher_outputs"] == "live"

    options = DigitsOptions(transfer_augment="jitter")
    data = variant(load(options), options, "view:crop4")
    batches = Batches(data.transfer, 8, data.normalization, data.transfer_augment, 3, view=data.view)
    batch = next(batches.epoch(0))
    assert data.view is not None
    assert batch.whole is not None
    whole = (batch.whole / data.view.whole.scale.view(-1, 1, 1) + data.view.whole.offset.view(-1, 1, 1)).round()
    shown = (batch.inputs / data.normalization.scale.view(-1, 1, 1) + data.normalization.offset.view(-1, 1, 1)).round()
    torch.testing.assert_close(whole[..., 2:6, 2:6], shown)


def test_pairs_of_pictures_are_two_modalities(train, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for folder in ("depth", "colour"):
        for part, count in (("train", 12), ("test", 4)):
            for name in ("cat", "dog"):
                place = tmp_path / folder / part / name
                place.mkdir(parents=True)
                for number in range(count):
                    Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{number}.png")
    words = ("dataset=imagefolder", "dataset.path=depth", "dataset.paired=colour", "dataset.size=8", *SMALL)
    batch = ("hparams.batch_size=4", "hparams.student.batch_size=4")
    left = train("method=lupi", "dataset.student_view=channels3", *words, *batch)
    assert left.code == 0, left.said
    saved = open_run(left.folder)
    assert (saved.input_shape, saved.seen_by("student").input_shape) == ((6, 8, 8), (3, 8, 8))
    (tmp_path / "colour/train/cat/3.png").unlink()
    monkeypatch.setattr(runs, "_last", None)
    left = train("method=lupi", "dataset.student_view=channels3", *words, *batch)
    assert left.code == 2
    assert "1 are only in one of them, such as cat/3" in left.said


def test_a_teacher_of_another_task_is_measured_on_its_own_and_leaves_a_hint(train):
    left = train("method=cross_task", "method.teacher_classes=[[5],[6,7],[8,9]]", *SMALL)
    assert left.code == 0, left.said
    assert left.row("teacher")["dataset"] == "digits 5,6+7,8+9"
    assert left.row("student")["recovered"] == left.row("student")["agreement"] == ""
    assert open_run(left.folder).seen_by("teacher").classes == ("5", "6+7", "8+9")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=lupi"], "method=lupi needs a student that sees less"),
        (["method=lupi", "dataset.student_view=downsample3"], "dataset.student_view=downsample3 is not allowed"),
        (["method=hinton", "dataset.student_view=gray"], "gray needs three channels"),
        (
            ["method=hinton", "dataset.student_view=crop4", "dataset.mixup=0.2"],
            "mixup=0.2 is not allowed with student_view",
        ),
        (["method=mlkd", "dataset.student_view=crop4"], "strongly augmented"),
        (["method=cross_task", "method.teacher_classes=[[1,2]]"], "needs two groups at least"),
        (["method=cross_task", "method.teacher_classes=[[1,2],[2,3]]"], "a class is in two groups"),
        (["method=cross_task", "method.teacher_classes=[[1,2],[10]]"], "0..9"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence_before_anything_trains(refused, words, sentence):
    refused(*words, *SMALL, saying=sentence)
