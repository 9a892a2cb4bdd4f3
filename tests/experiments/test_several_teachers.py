"""Several teachers, teacher assistants and generations, through the whole program."""

import pytest
import torch
from safetensors.torch import load_file

from distill.experiments.saved import open_run

SMALL = ("hparams=smoke", "verbosity=quiet", "model@teacher=mlp_64", "model@student=mlp_32")


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr("distill.experiments.run_folder.RunFolder.draw", lambda self: None)


def roles(left) -> list[str]:
    return [row["role"] for row in left.rows]


def test_each_of_several_teachers_is_trained_once_and_their_ensemble_is_a_row(train):
    left = train("method=ensemble", "n_teachers=2", *SMALL)
    assert roles(left) == ["teacher", "teacher_2", "ensemble", "baseline", "student"]
    assert left.row("ensemble")["params"] == str(2 * int(left.row("teacher")["params"]))
    first, second = (load_file(left.folder / f"checkpoints/{role}.safetensors") for role in ("teacher", "teacher_2"))
    assert not any(torch.equal(first[name], second[name]) for name in first)
    assert left.facts["teacher_outputs"] == "cached"

    hinton = train("method=hinton", *SMALL)
    assert hinton.row("teacher")["reused"] == "true"
    assert hinton.row("teacher")["signature"] == left.row("teacher")["signature"]
    again = train("method=ensemble", "n_teachers=3", "method.mean=logits", *SMALL)
    assert [row["reused"] for row in again.rows] == ["true", "true", "false", "false", "true", "false"]


def test_the_ensemble_answers_what_its_teachers_answer_in_the_mean(train):
    left = train("method=ensemble", "n_teachers=2", *SMALL)
    saved = open_run(left.folder)
    inputs = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together = saved.network("ensemble")(inputs).softmax(dim=1)
        each = [saved.network(role)(inputs).softmax(dim=1) for role in ("teacher", "teacher_2")]
    torch.testing.assert_close(together, (each[0] + each[1]) / 2)


def test_named_teachers_may_be_of_any_kind_and_learnt_weights_are_logged(train):
    left = train("method=ensemble", "teachers=[mlp_64,{name: mlp, widths: [50]}]", "method.weights=learnt", *SMALL)
    assert [row["model"] for row in left.rows][:3] == ["mlp-64", "mlp-50", "mlp-64 + mlp-50"]
    with (left.folder / "metrics.csv").open() as file:
        header = file.readline().strip().split(",")
    assert {"teacher_1_weight", "teacher_2_weight", "loss_weights"} <= set(header)


def test_assistants_learn_from_the_teacher_and_teach_the_student(train):
    left = train("method=takd", "assistants=[{name: mlp, widths: [50]},{name: mlp, widths: [40]}]", *SMALL)
    assert roles(left) == ["teacher", "baseline", "assistant", "assistant_2", "student"]
    assert left.row("student")["method"] == "takd"
    again = train("method=takd", "assistants=[{name: mlp, widths: [50]}]", *SMALL)
    assert [row["reused"] for row in again.rows] == ["true", "true", "true", "false"]


def test_a_step_may_be_by_features_and_by_a_student_that_is_redesigned(train):
    networks = (
        "model@teacher=resnet14",
        "model@student=resnet8",
        "assistants=[{name: resnet, depth: 8, widths: [16,16,32,72]}]",
    )
    for base in ("at", "simkd"):
        left = train("method=takd", f"base={base}", *SMALL[:2], *networks)
        assert left.code == 0, left.said
        assert roles(left) == ["teacher", "baseline", "assistant", "student"]


def test_generations_are_rows_and_so_is_their_ensemble(train):
    left = train("method=ban", "generations=2", "T=4", "alpha=0.9", *SMALL)
    assert roles(left) == ["teacher", "baseline", "generation_1", "student", "ensemble"]
    assert left.row("ensemble")["model"] == "2 x mlp-32"
    assert open_run(left.folder).role() == "student"
    # The first generation is a plain student of the teacher.
    assert train("method=hinton", *SMALL).row("student")["signature"] == left.row("generation_1")["signature"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=ensemble", "n_teachers=1"], "n_teachers=1 is not allowed: it must be 2 at least"),
        (["method=ensemble", "teachers=[mlp_64]"], "name two at least"),
        (["method=ensemble", "n_teachers=3", "teachers=[mlp_64,mlp_32]"], "teachers names 2; leave one out"),
        (
            ["method=ensemble", "teachers=[mlp_64,resnet21]"],
            "teachers=resnet21 is not allowed: there is no such network",
        ),
        (["method=ensemble", "method.weights=[1,2]"], "there are 3 teachers"),
        (["method=takd", "assistants=[mlp_800]"], "the assistant has"),
        (["method=takd", "assistants=[]"], "assistants=[] is not allowed"),
        (["method=takd", "base=ban"], "method.base=ban is not allowed with method=takd"),
        (["method=takd", "base=hintn"], "method.base=hintn is not allowed"),
        (["method=takd", "method.options={weigth: 3}"], "method.options.weigth"),
        (["method=ban", "generations=0"], "generations=0 is not allowed"),
        (["method=ban", "base=simkd"], "method.base=simkd is not allowed with method=ban"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence_before_anything_trains(refused, words, sentence):
    refused(*words, *SMALL, saying=sentence)
