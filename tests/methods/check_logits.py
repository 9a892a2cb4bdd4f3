"""What the formulas of the methods on logits imply."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from evidence import invariant
from torch import Tensor

from distill.methods import create
from distill.methods.ctkd import learnt_temperature
from distill.methods.dist import correlation_loss
from distill.methods.dkd import non_target_loss, target_loss
from distill.methods.lskd import standardized_soft_target_loss
from distill.methods.mlkd import batch_level_loss, class_level_loss
from distill.methods.nkd import non_target_cross_entropy, weighted_label_loss
from distill.methods.ofa import enhanced_target_loss
from distill.methods.soft_targets import soft_target_loss
from distill.methods.tf_kd import virtual_teacher_loss
from distill.methods.wkd_l import class_costs, transport_loss
from distill.types import Batch, Output

LABELS = torch.tensor([3, 0, 4, 4, 1, 2])
BATCH = Batch(torch.zeros(6, 1), LABELS, torch.arange(6))


def logits(seed: int, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


@invariant("lskd")
def shift_and_scale_of_an_example_do_not_count() -> None:
    student, teacher = logits(1), logits(2)
    expected = standardized_soft_target_loss(student, teacher, 2.0)
    moved = student * torch.linspace(0.2, 9, 6)[:, None] + torch.linspace(-30, 30, 6)[:, None]
    torch.testing.assert_close(standardized_soft_target_loss(moved, teacher, 2.0), expected)
    assert standardized_soft_target_loss(3 * teacher + 7, teacher, 2.0).item() == pytest.approx(0, abs=1e-6)


@invariant("dkd")
def with_one_minus_the_teachers_certainty_as_weight_it_is_plain_distillation() -> None:
    student, teacher, T = logits(1), logits(2), 3.0
    for row in range(6):
        one = slice(row, row + 1)
        given = (student[one], teacher[one], LABELS[one], T)
        weight = 1 - (teacher[row] / T).softmax(dim=0)[LABELS[row]]
        together = target_loss(*given) + weight * non_target_loss(*given)
        torch.testing.assert_close(together, soft_target_loss(student[one], teacher[one], T))


@invariant("dkd")
def a_gap_of_200_between_logits_stays_finite() -> None:
    for place in (0, 3):  # certain of another class than the label, and of the label
        student = torch.zeros(1, 5).index_fill(1, torch.tensor([place]), 200.0).requires_grad_()
        losses = create("dkd", T=1.0)(Output(student), Output(torch.zeros(1, 5)), BATCH.rows(slice(0, 1)))
        torch.stack(list(losses.values())).sum().backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert student.grad is not None
        assert student.grad.isfinite().all()


@invariant("dkd", "dist", "mlkd")
def they_are_zero_where_both_agree() -> None:
    teacher = logits(1)
    student = teacher + torch.linspace(-9, 9, 6)[:, None]
    losses = {
        **create("dkd")(Output(student), Output(teacher), BATCH),
        **create("dist")(Output(student), Output(teacher), BATCH),
        **create("mlkd")(Output(student), Output(teacher), BATCH),
    }
    for name in ("target", "non_target", "inter", "intra", "instance", "batch", "class"):
        assert losses[name].item() == pytest.approx(0, abs=1e-4), name


@invariant("nkd")
def by_hand_on_three_classes() -> None:
    # Both say 1/2, 1/4, 1/4, and the label is the first; the others are even, with an entropy of ln 2.
    both = torch.tensor([[math.log(2), 0.0, 0.0]])
    label = torch.tensor([0])
    assert weighted_label_loss(both, both, label).item() == pytest.approx(math.log(2) / 2)
    assert non_target_cross_entropy(both, both, label, 1.0).item() == pytest.approx(math.log(2))
    # The other classes know nothing of the label's logit.
    surer = both + torch.tensor([[5.0, 0.0, 0.0]])
    assert non_target_cross_entropy(surer, both, label, 1.0).item() == pytest.approx(math.log(2))


@invariant("nkd")
def where_both_agree_there_is_still_a_gradient() -> None:
    student = logits(1).requires_grad_()
    weighted_label_loss(student, student.detach(), LABELS).backward()
    assert student.grad is not None
    assert student.grad.abs().max() > 1e-3


@invariant("dist")
def probabilities_in_proportion_are_as_good_as_equal_ones() -> None:
    teacher = logits(1)
    certain = teacher.softmax(dim=1)
    # Half of each probability, and the rest spread evenly: a linear map of rows and of columns.
    blurred = (certain / 2 + 0.1).log()
    for dim in (0, 1):
        assert correlation_loss(blurred, teacher, 1.0, dim).item() == pytest.approx(0, abs=1e-5)
    # The other way round, correlation is -1.
    assert correlation_loss((0.4 - certain / 4).log(), teacher, 1.0, 1).item() == pytest.approx(2, abs=1e-4)


@invariant("wkd_l")
def moving_to_a_class_that_is_alike_costs_less() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    costs = class_costs(vectors, 1.0)
    assert costs.diagonal().tolist() == [0, 0, 0]
    assert costs[0, 2].item() == pytest.approx(1 - math.exp(-1))  # at right angles
    assert costs[0, 1] < costs[0, 2]
    certain = 30 * torch.eye(3)
    near, far = (transport_loss(certain[:1], certain[place : place + 1], costs, 1.0) for place in (1, 2))
    # All of the mass goes one way, at its cost.
    assert near.item() == pytest.approx(costs[0, 1].item(), rel=1e-2)
    assert far.item() == pytest.approx(costs[0, 2].item(), rel=1e-2)


@invariant("wkd_l")
def a_class_that_is_left_out_counts_for_nothing() -> None:
    student, teacher = logits(1), logits(2)
    costs = class_costs(torch.randn(5, 8, generator=torch.Generator().manual_seed(3)), 1.0)
    expected = []
    for row, label in enumerate(LABELS.tolist()):
        kept = [place for place in range(5) if place != label]
        expected.append(transport_loss(student[row, kept][None], teacher[row, kept][None], costs[kept][:, kept], 2.0))
    torch.testing.assert_close(transport_loss(student, teacher, costs, 2.0, LABELS), torch.stack(expected).mean())


@invariant("mlkd")
def levels_by_hand_on_two_certain_examples() -> None:
    # The student calls both the first class, the teacher tells them apart.
    student, teacher = torch.tensor([[90.0, 0.0], [90.0, 0.0]]), torch.tensor([[90.0, 0.0], [0.0, 90.0]])
    # Examples: all ones against the identity. Classes: [[2, 0], [0, 0]] against the identity.
    assert batch_level_loss(student, teacher, 1.0).item() == pytest.approx(2 / 2)
    assert class_level_loss(student, teacher, 1.0).item() == pytest.approx((1 + 1) / 2)


@invariant("mlkd")
def a_strong_view_like_the_own_one_counts_twice() -> None:
    student, teacher = logits(1), logits(2)
    alone = create("mlkd")(Output(student), Output(teacher), BATCH)
    both = create("mlkd")(Output(student, strong=Output(student)), Output(teacher, strong=Output(teacher)), BATCH)
    torch.testing.assert_close(both, {name: 2 * loss for name, loss in alone.items()})


@invariant("ofa")
def without_enhancement_it_is_cross_entropy_with_the_teacher() -> None:
    student, teacher = logits(1), logits(2)
    expected = F.cross_entropy(student, teacher.softmax(dim=1))
    torch.testing.assert_close(enhanced_target_loss(student, teacher, LABELS, 1.0, 1.0), expected)


@invariant("ofa")
def enhancement_by_hand() -> None:
    # Student 1/2 : 1/2, teacher 3/4 : 1/4, eps = 2: the label's target is (7/4)^2 - 1, the other's (1/4)^2.
    student, teacher = torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]])
    loss = enhanced_target_loss(student, teacher, torch.tensor([0]), 2.0, 1.0)
    assert loss.item() == pytest.approx(((7 / 4) ** 2 - 1 + 1 / 16) * math.log(2))


@invariant("tf_kd")
def a_virtual_teacher_by_hand() -> None:
    # p = 3/5, 1/5, 1/5; at T = 2/5 / ln 2 the label stands out by a factor of 2: 1/2, 1/4, 1/4.
    student, T = torch.zeros(2, 3), 0.4 / math.log(2)
    loss = virtual_teacher_loss(student, torch.tensor([0, 2]), 0.6, T)
    assert loss.item() == pytest.approx(0.5 * math.log(3 / 2) + 0.5 * math.log(3 / 4), rel=1e-5)
    # And the student that says so has learnt it.
    learnt = torch.tensor([[math.log(2), 0.0, 0.0]])
    assert virtual_teacher_loss(learnt, torch.tensor([0]), 0.6, T).item() == pytest.approx(0, abs=1e-6)


@invariant("tf_kd")
def at_high_temperature_it_is_label_smoothing() -> None:
    student = logits(1)
    losses = create("tf_kd", T=1e6, alpha=0.2)(Output(student), Output(torch.empty(0)), BATCH)
    smoothed = F.cross_entropy(student, LABELS, label_smoothing=0.2)
    # KL leaves out the entropy of the even distribution.
    expected = smoothed - 0.2 * math.log(5)
    torch.testing.assert_close(torch.stack(list(losses.values())).sum(), expected)


@invariant("ctkd")
def the_temperature_learns_against_the_student() -> None:
    student, teacher = logits(1), logits(2)

    def gradient(strength: float) -> float:
        theta = torch.tensor(0.3, requires_grad=True)
        soft_target_loss(student, teacher, learnt_temperature(theta, strength, 1.0, 20.0)).backward()
        assert theta.grad is not None
        return theta.grad.item()

    theta = torch.tensor(0.3, requires_grad=True)
    soft_target_loss(student, teacher, 1 + 20 * torch.sigmoid(theta)).backward()
    assert theta.grad is not None
    assert gradient(1.0) == pytest.approx(-theta.grad.item())
    assert gradient(0.25) == pytest.approx(-theta.grad.item() / 4)
    assert gradient(0.0) == 0


@invariant("ctkd")
def the_reversal_grows_by_half_a_cosine_and_stays() -> None:
    method: Any = create("ctkd", ramp_share=0.25)
    strengths = []
    for epoch in (0, 1, 2, 3, 9, 15):
        method.start_epoch(epoch, 16)
        strengths.append(method.strength)
    root = math.sqrt(0.5)
    assert strengths == pytest.approx([(1 - root) / 2, 0.5, (1 + root) / 2, 1, 1, 1])


@invariant("function_matching")
def labels_count_for_nothing() -> None:
    student, teacher = logits(1), logits(2)
    losses = create("function_matching")(Output(student), Output(teacher), BATCH)
    p, q = teacher.softmax(dim=1), student.softmax(dim=1)
    assert list(losses) == ["soft"]
    torch.testing.assert_close(losses["soft"], (p * (p / q).log()).sum(dim=1).mean())


@invariant("deit")
def each_head_has_a_teacher_of_its_own() -> None:
    heads = (logits(1).requires_grad_(), logits(3).requires_grad_())
    student = Output((heads[0] + heads[1]) / 2, heads=heads)
    for kind, term in (("hard", "teacher_label"), ("soft", "soft")):
        losses = create("deit", type=kind)(student, Output(logits(2)), BATCH)
        for name, learns, rests in (("hard", 0, 1), (term, 1, 0)):
            found = torch.autograd.grad(losses[name], heads, retain_graph=True, materialize_grads=True)
            assert found[learns].any()
            assert not found[rests].any()
    agreed = Output(heads[0], heads=(heads[0], logits(2)))
    assert create("deit", type="soft")(agreed, Output(logits(2)), BATCH)["soft"].item() == pytest.approx(0, abs=1e-6)
