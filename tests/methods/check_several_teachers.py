"""Methods with more teachers than one: several at once, and one after the other."""

import torch
from evidence import invariant
from torch import Tensor, nn

from distill.config.dataset_options import DatasetOptions
from distill.config.schema import Hparams
from distill.methods import create
from distill.methods.base import methods
from distill.methods.ensemble import confidence, mixed_logits
from distill.methods.nodes import Cast, Node
from distill.methods.none import NoneOptions
from distill.models.ensemble import mean_logits
from distill.models.networks.mlp import MlpOptions
from distill.types import Batch, Output


def logits(seed: int) -> Tensor:
    return 3 * torch.randn(6, 10, generator=torch.Generator().manual_seed(seed))


BATCH = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 9, 4, 4, 1]), torch.arange(6))


def cast() -> Cast:
    labels, hparams = NoneOptions(), Hparams()
    teacher = Node("teacher", MlpOptions(name="mlp", widths=[64]), labels, hparams, "train", mount="teacher")
    baseline = Node("baseline", MlpOptions(name="mlp", widths=[8]), labels, hparams, "transfer")
    student = Node("student", MlpOptions(name="mlp", widths=[8]), labels, hparams, "transfer")
    return Cast(
        teacher, baseline, student, DatasetOptions(), lambda key, name, seed: MlpOptions(name=str(name), seed=seed)
    )


def chain(name: str, **options) -> list[tuple[str, str, tuple[str, ...]]]:
    method = create(name, **options)
    return [(node.role, node.method.name, node.parents) for node in type(method).plan(method.options, cast())]


@invariant("ensemble")
def copies_of_one_teacher_are_that_teacher() -> None:
    same = Output(logits(2), heads=(logits(2),) * 3)
    for options in ({}, {"mean": "logits"}, {"weights": "confidence"}, {"weights": [1.0, 2.0, 3.0]}):
        several = create("ensemble", **options)(Output(logits(1)), same, BATCH)
        one = create("hinton")(Output(logits(1)), same, BATCH)
        torch.testing.assert_close(several["soft"], one["soft"])
        torch.testing.assert_close(several["hard"], one["hard"])


@invariant("ensemble")
def what_is_averaged_are_softened_probabilities_or_logits() -> None:
    answers = (logits(1), logits(2), logits(3))
    shares = torch.tensor([[0.5, 0.3, 0.2]]).expand(6, 3)
    softened = [(each / 4).softmax(dim=1) for each in answers]
    torch.testing.assert_close(
        mixed_logits(answers, shares, "probabilities", 4.0).softmax(dim=1),
        0.5 * softened[0] + 0.3 * softened[1] + 0.2 * softened[2],
    )
    by_hand = (0.5 * answers[0] + 0.3 * answers[1] + 0.2 * answers[2]) / 4
    torch.testing.assert_close(mixed_logits(answers, shares, "logits", 4.0), by_hand)
    third = torch.full((6, 3), 1 / 3)
    for mean in ("probabilities", "logits"):
        torch.testing.assert_close(
            mean_logits(answers, mean).softmax(dim=1), mixed_logits(answers, third, mean, 1.0).softmax(dim=1)
        )


@invariant("ensemble")
def confidence_counts_those_more_that_know_the_label() -> None:
    right, wrong = 9 * nn.functional.one_hot(BATCH.labels, 10).float(), logits(4)
    shares = confidence((wrong, right, wrong), BATCH.labels)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(6))
    assert (shares[:, 1] > shares[:, 0]).all()
    torch.testing.assert_close(confidence((wrong, wrong), BATCH.labels), torch.full((6, 2), 0.5))


@invariant("ensemble")
def learnt_weights_move_towards_the_teacher_that_is_right() -> None:
    method = create("ensemble", weights="learnt", n_teachers=2)
    right = 9 * nn.functional.one_hot(BATCH.labels, 10).float()
    loss = method(Output(logits(1)), Output(right, heads=(logits(2), right)), BATCH)["weights"]
    (gradient,) = torch.autograd.grad(loss, list(method.parameters()))
    assert gradient[1] < 0 < gradient[0]


@invariant("takd")
def each_assistant_learns_from_the_one_above_it() -> None:
    assert chain("takd", assistants=["mlp", "mlp"], base="rkd") == [
        ("teacher", "none", ()),
        ("baseline", "none", ()),
        ("assistant", "rkd", ("teacher",)),
        ("assistant_2", "rkd", ("assistant",)),
        ("student", "rkd", ("assistant_2",)),
    ]


@invariant("ban")
def each_generation_learns_from_the_one_before_it_and_begins_afresh() -> None:
    assert chain("ban", generations=2) == [
        ("teacher", "none", ()),
        ("baseline", "none", ()),
        ("generation_1", "hinton", ("teacher",)),
        ("student", "hinton", ("generation_1",)),
        ("ensemble", "none", ("generation_1", "student")),
    ]
    nodes = methods.find("ban").factory.plan(create("ban").options, cast())
    seeds = [node.model.seed for node in nodes if node.kind == "trained" and node.parents]
    assert len(set(seeds)) == 3


@invariant("lupi")
def a_teacher_with_privileged_information_teaches_by_soft_targets() -> None:
    own, told = logits(1), logits(2)
    found = create("lupi", T=5.0, alpha=0.3)(Output(own), Output(told), BATCH)
    # As in the authors' code the student itself has no temperature.
    targets = (told / 5).softmax(dim=1)
    torch.testing.assert_close(found["imitation"], -0.3 * 25 * (targets * own.log_softmax(dim=1)).sum(dim=1).mean())
    torch.testing.assert_close(found["hard"], 0.7 * nn.functional.cross_entropy(own, BATCH.labels))


@invariant("cross_task")
def heads_over_other_classes_leave_the_loss_as_it_is() -> None:
    method = create("cross_task")
    ours, theirs = torch.randn(6, 5), torch.randn(6, 7)
    found = []
    for classes in (2, 10):
        student, teacher = Output(logits(1), (ours,)), Output(torch.randn(6, classes), (theirs,))
        if not found:
            method.adapt(student, teacher)
        found.append(method(student, teacher, BATCH))
    torch.testing.assert_close(found[0], found[1])
    regressor = method.get_submodule("regressor")
    torch.testing.assert_close(found[0]["hint"], ((regressor(ours) - theirs) ** 2).mean())


@invariant("lwf")
def old_classes_are_held_and_new_ones_are_learned() -> None:
    student, before = logits(1).requires_grad_(), logits(2)
    method = create("lwf", T=2.0)
    method.tasks = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
    batch = Batch(BATCH.inputs, torch.tensor([5, 9, 7, 6, 8, 5]), BATCH.index)
    found = method(Output(student), Output(before), batch)
    torch.testing.assert_close(found["hard"], nn.functional.cross_entropy(student[:, 5:], batch.labels - 5))
    told = (before[:, :5] / 2).softmax(dim=1)
    by_hand = (told * (told.log() - (student[:, :5] / 2).log_softmax(dim=1))).sum(dim=1).mean()
    torch.testing.assert_close(found["old"], by_hand)
    (gradient,) = torch.autograd.grad(found["old"], student)
    assert gradient[:, 5:].abs().max() == 0
    fine = create("lwf", weight=0.0)
    fine.tasks = method.tasks
    assert set(fine(Output(student), Output(before), batch)) == {"hard"}
