"""Methods that compare feature maps: hints, attention, selectivity, boundaries, factors, flow, singular vectors."""

from typing import Any

import torch
from evidence import invariant
from torch import Tensor, nn
from torch.testing import assert_close

from distill.methods import create
from distill.methods.ab import boundaries_loss, boundary_loss
from distill.methods.at import attention_loss, attention_map
from distill.methods.cosine_hidden import hidden_cosine_loss
from distill.methods.fitnet import hint_loss
from distill.methods.fsp import fsp_loss, fsp_matrix
from distill.methods.ft import factor_loss
from distill.methods.kdsvd import singular_vectors, svd_loss
from distill.methods.nst import selectivity_loss
from distill.types import Batch, Output


def maps(seed: int, channels: int = 5, side: int = 4) -> Tensor:
    return torch.randn(3, channels, side, side, generator=torch.Generator().manual_seed(seed))


def per_example(*factors: float) -> Tensor:
    return torch.tensor(factors)[:, None, None, None]


def shuffled(feature: Tensor, dim: int = 1) -> Tensor:
    return feature.index_select(dim, torch.randperm(feature.shape[dim], generator=torch.Generator().manual_seed(7)))


@invariant("fitnet", "feature_mse")
def hints_are_half_the_papers_sum_up_to_a_constant() -> None:
    regressed, hint = maps(1), maps(2)
    paper = sum(0.5 * (ours - theirs).norm() ** 2 for ours, theirs in zip(regressed, hint, strict=True)) / 3
    assert_close(hint_loss(regressed, hint), paper * 2 / hint[0].numel())
    assert hint_loss(hint, hint) == 0


@invariant("at")
def attention_by_hand() -> None:
    # Squares 9 and 16 against 1 and 0 add up over channels to 10 and 16; 5 and 12 become 5/13 and 12/13.
    feature = torch.tensor([[[[3.0, 4.0]], [[-1.0, 0.0]]]])
    assert_close(attention_map(feature), torch.tensor([[10.0, 16.0]]) / (100 + 256) ** 0.5)
    student, teacher = torch.tensor([[[[5.0, 12.0]]]]), torch.tensor([[[[0.0, -2.0]]]])
    assert_close(attention_loss(student, teacher, p=1).item(), ((5 / 13) ** 2 + (1 / 13) ** 2) / 2)


@invariant("at")
def attention_ignores_scale_sign_and_order_of_channels() -> None:
    student, teacher = maps(1), maps(2, channels=7, side=8)
    changed = -shuffled(student) * per_example(0.1, 1.0, 30.0)
    assert_close(attention_loss(changed, teacher), attention_loss(student, teacher))
    assert attention_loss(teacher, -shuffled(teacher)) < 1e-12
    assert attention_loss(student, student.flip(3)) > 1e-3


@invariant("nst")
def selectivity_is_the_discrepancy_of_all_pairs_of_channels() -> None:
    student, teacher = maps(1, channels=2), maps(2, channels=3)
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        ours, theirs = ([each.flatten() / each.norm() for each in one] for one in (ours, theirs))
        for sign, first, second in ((1, theirs, theirs), (1, ours, ours), (-2, ours, theirs)):
            products = [float(a @ b) ** 2 for a in first for b in second]
            total += sign * sum(products) / len(products)
    assert_close(selectivity_loss(student, teacher).item(), total / 3)


@invariant("nst")
def selectivity_ignores_order_and_scale_of_channels() -> None:
    student, teacher = maps(1), maps(2, channels=7, side=8)
    changed = shuffled(student * torch.tensor([0.1, -1.0, 3.0, 20.0, 7.0])[:, None, None])
    assert_close(selectivity_loss(changed, teacher), selectivity_loss(student, teacher))
    assert abs(selectivity_loss(student, shuffled(student))) < 1e-6


@invariant("nst")
def selectivity_of_many_channels_at_few_places_is_the_same_sum() -> None:
    student, teacher = maps(1, channels=6, side=2), maps(2, channels=9, side=2)
    ours, theirs = (nn.functional.normalize(each.flatten(2), dim=2) for each in (student, teacher))
    direct = [(a @ b.mT).square().mean() for a, b in ((theirs, theirs), (ours, ours), (ours, theirs))]
    assert_close(selectivity_loss(student, teacher), direct[0] + direct[1] - 2 * direct[2])


@invariant("ab")
def boundaries_by_hand() -> None:
    # Active at the teacher: 0.5 and 3 lack .5 and nothing; not active (zero is not): -0.5 and 2 lack .5 and 3.
    student, teacher = torch.tensor([[0.5, 3.0, -0.5, 2.0]]), torch.tensor([[0.1, 9.0, -9.0, 0.0]])
    assert_close(boundary_loss(student, teacher), torch.tensor(0.25 + 0.25 + 9.0))
    assert_close(boundary_loss(student, teacher, margin=2.0), torch.tensor(1.5**2 + 1.5**2 + 4.0**2))
    twice = boundaries_loss([student, student], [teacher, teacher])
    assert_close(twice, torch.tensor(3 / 1000 * 9.5 * 1.5))


@invariant("ab")
def boundaries_want_only_the_side_and_the_margin() -> None:
    teacher = maps(2)
    assert boundary_loss(teacher.sign() * 1.0, teacher) == 0
    student = maps(1)
    assert_close(boundary_loss(student, teacher), boundary_loss(student, teacher * per_example(0.01, 1.0, 50.0)))


@invariant("ft")
def factors_by_hand() -> None:
    student, teacher = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[-7.0, 0.0]]]])
    assert_close(factor_loss(student, teacher), torch.tensor((1.6 + 0.8) / 2))
    assert_close(factor_loss(student, teacher, p=2), torch.tensor((1.6**2 + 0.8**2) / 2))


@invariant("ft")
def factors_ignore_scale_but_not_the_order_of_channels() -> None:
    student, teacher = maps(1), maps(2)
    assert_close(factor_loss(student * per_example(0.1, 1.0, 30.0), teacher), factor_loss(student, teacher))
    assert factor_loss(teacher, teacher) == 0
    assert factor_loss(shuffled(teacher), teacher) > 1e-2


@invariant("fsp")
def flow_by_hand() -> None:
    before, after = torch.tensor([[[[1.0, 2.0]], [[0.0, -1.0]]]]), torch.tensor([[[[3.0, 5.0]]]])
    expected = torch.tensor([[[(1 * 3 + 2 * 5) / 2], [-5 / 2]]])
    assert_close(fsp_matrix(before, after), expected)
    # Pooled to one place: means 1.5 and -.5 by 4, or maxima 2 and 0 by 5.
    small = torch.full((1, 1, 1, 1), 4.0)
    assert_close(fsp_matrix(before, small), torch.tensor([[[6.0], [-2.0]]]))
    assert_close(fsp_matrix(before, small, "max"), torch.tensor([[[8.0], [0.0]]]))
    assert_close(fsp_loss([before, after], [before, 2 * after]), expected.square().mean())


@invariant("fsp")
def flow_ignores_where_in_the_picture_things_are() -> None:
    stages = [maps(1), maps(2, channels=6), maps(3, channels=7)]
    moved = [shuffled(stage.flatten(2), dim=2).unflatten(2, (4, 4)) for stage in stages]
    assert fsp_loss(moved, stages) < 1e-12
    assert fsp_loss([shuffled(stage) for stage in stages], stages) > 1e-3


@invariant("kdsvd")
def singular_vectors_are_those_of_places_by_channels() -> None:
    feature = maps(1)
    vectors, values = singular_vectors(feature, 2)
    for example, found, size in zip(feature, vectors, values, strict=True):
        squares, every = torch.linalg.eigh((example.flatten(1) @ example.flatten(1).T).double())
        assert_close((found.mT.double() @ every[:, [-1, -2]]).abs(), torch.eye(2).double(), atol=1e-4, rtol=0)
        assert_close(size.double() ** 2, squares[[-1, -2]] / squares.sum(), rtol=1e-5, atol=0)


@invariant("kdsvd")
def singular_vectors_ignore_scale_sign_and_place() -> None:
    students, teachers = [maps(1), maps(2, channels=6)], [maps(3), maps(4, channels=6)]
    changed = [shuffled(-each * per_example(0.1, 1.0, 30.0), dim=2) for each in students]
    assert_close(svd_loss(changed, teachers), svd_loss(students, teachers))
    assert svd_loss(teachers, teachers) < 1e-10
    assert svd_loss([shuffled(each) for each in teachers], teachers) > 1e-3


@invariant("kdsvd")
def singular_vectors_have_a_finite_gradient_where_values_are_equal_or_zero() -> None:
    flat, dead = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    equal = torch.eye(4).reshape(1, 4, 2, 2)
    students = [torch.cat([flat, dead, equal]).requires_grad_() for _ in range(2)]
    svd_loss(students, [maps(1, channels=4), maps(2, channels=4)]).backward()
    for student in students:
        assert student.grad is not None
        assert student.grad.isfinite().all()


@invariant("cosine_hidden")
def the_cosine_is_the_tutorials() -> None:
    # Its teacher has twice the channels, and is averaged over pairs of neighbours.
    student, teacher = maps(1, channels=3), maps(2, channels=6)
    pooled = nn.functional.avg_pool1d(teacher.flatten(1), 2)
    expected = nn.CosineEmbeddingLoss()(student.flatten(1), pooled, torch.ones(3))
    assert_close(hidden_cosine_loss(student, teacher), expected)


@invariant("cosine_hidden")
def the_cosine_ignores_scale() -> None:
    student, teacher = maps(1), maps(2)
    assert_close(
        hidden_cosine_loss(student * per_example(0.1, 1.0, 30.0), teacher), hidden_cosine_loss(student, teacher)
    )
    assert hidden_cosine_loss(teacher, 3 * teacher) < 1e-6
    assert_close(hidden_cosine_loss(teacher, -teacher), torch.tensor(2.0))


@invariant("cosine_hidden", "feature_mse")
def weights_are_the_tutorials() -> None:
    logits = torch.zeros(3, 4)
    batch = Batch(logits, torch.tensor([0, 1, 2]), torch.arange(3))
    for name in ("cosine_hidden", "feature_mse"):
        method: Any = create(name)
        student, teacher = Output(logits, (maps(1),)), Output(logits, (maps(2, channels=6),))
        method.adapt(student, teacher)
        losses, own = method(student, teacher, batch), method.distance(student, teacher, batch)
        assert set(losses) == {name, "hard"}
        assert_close(losses[name], 0.25 * own)
        assert_close(losses["hard"], 0.75 * torch.tensor(4.0).log())
