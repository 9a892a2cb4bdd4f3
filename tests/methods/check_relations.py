"""Methods on relations between examples, and compositions."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from evidence import invariant
from torch import Tensor

from distill.methods import create
from distill.methods.cc import correlation_loss, correlations
from distill.methods.irg import edge_loss, transformation_loss
from distill.methods.pkt import neighbour_loss
from distill.methods.rkd import relational_losses
from distill.methods.sp import similarity_loss
from distill.types import Batch, Output

# Three examples in a row and three of equal distance; two at a right angle and two in one direction.
ROW = torch.tensor([[0.0], [1.0], [3.0]])
TRIANGLE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])
CROSSED, TOGETHER = torch.eye(2), torch.tensor([[3.0, 4.0], [6.0, 8.0]])


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotated(embedding: Tensor) -> Tensor:
    """The same relations in another basis, of two dimensions more."""
    basis, _ = torch.linalg.qr(random(embedding.shape[1] + 2, embedding.shape[1], seed=5))
    return embedding @ basis.t()


def is_nothing(loss: Tensor, beside: Tensor) -> bool:
    return abs(loss.item()) < 1e-5 * beside.item()


@invariant("rkd")
def distances_and_angles_survive_rotation_shift_and_scale() -> None:
    teacher, other = random(8, 5), random(8, 6, seed=2)
    copied, different = (relational_losses(each, teacher) for each in (3 * rotated(teacher) + 7, other))
    assert all(is_nothing(loss, beside) for loss, beside in zip(copied, different, strict=True))


@invariant("rkd")
def three_examples_by_hand() -> None:
    # Distances 1/2, 1 and 3/2 of their mean against 1; of each two directions: 1, -1 and 1 against 1/2.
    distance, angle = relational_losses(ROW, TRIANGLE)
    assert distance.item() == pytest.approx(2 * (1 / 8 + 0 + 1 / 8) / 9)
    assert angle.item() == pytest.approx(2 * (1 / 8 + 1 + 1 / 8) / 27)


@invariant("rkd")
def no_digit_is_lost_far_from_zero() -> None:
    near = random(6, 8)
    assert max(relational_losses(near + 3000, near)).item() < 1e-6


@invariant("sp")
def similarities_survive_rotation_and_scale_and_no_shift() -> None:
    teacher, other = random(8, 5), random(8, 6, seed=2)
    beside = similarity_loss(other, teacher)
    assert is_nothing(similarity_loss(0.2 * rotated(teacher), teacher), beside)
    assert similarity_loss(teacher + 1, teacher) > 0.01 * beside


@invariant("sp")
def two_examples_by_hand() -> None:
    # Rows (1, 0) and (0, 1) against rows (1, 2) and (2, 4), made as long as 1.
    expected = 2 * ((1 - 1 / math.sqrt(5)) ** 2 + (2 / math.sqrt(5)) ** 2)
    second = 2 * ((1 - 2 / math.sqrt(5)) ** 2 + (1 / math.sqrt(5)) ** 2)
    assert similarity_loss(CROSSED, TOGETHER).item() == pytest.approx((expected + second) / 8)


@invariant("pkt")
def neighbours_survive_rotation_and_scale() -> None:
    teacher, other = random(8, 5), random(8, 6, seed=2)
    assert is_nothing(neighbour_loss(4 * rotated(teacher), teacher), beside=neighbour_loss(other, teacher))


@invariant("pkt")
def two_neighbours_by_hand() -> None:
    # A row of cosines (1, 0) is (2/3, 1/3), and one of (1, 1) is (1/2, 1/2).
    expected = 2 * (math.log(3 / 4) + math.log(3 / 2)) / 2 / 4
    assert neighbour_loss(CROSSED, TOGETHER).item() == pytest.approx(expected, rel=1e-5)


@invariant("cc")
def correlations_are_a_gaussian_kernel() -> None:
    unit = F.normalize(random(6, 4), dim=1)
    expected = (-0.4 * torch.cdist(unit, unit).square()).exp()
    torch.testing.assert_close(correlations(unit, 0.4, 20), expected)
    assert correlations(CROSSED, 0.4, 2)[0].tolist() == pytest.approx([math.exp(-0.8) * 2.12, math.exp(-0.8)])


@invariant("cc")
def correlations_know_no_order_and_miss_nothing() -> None:
    student, teacher = random(8, 5), random(8, 6, seed=2)
    shuffled = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    loss = correlation_loss(student, teacher)
    torch.testing.assert_close(correlation_loss(student[shuffled], teacher[shuffled]), loss)
    half_wrong = torch.where(torch.arange(8)[:, None] % 2 == 0, rotated(teacher), random(8, 8, seed=3))
    assert correlation_loss(half_wrong, teacher) > 0.1 * loss


@invariant("irg")
def edges_survive_rotation_shift_and_scale() -> None:
    teacher, other = random(8, 5), random(8, 6, seed=2)
    assert is_nothing(edge_loss(2 * rotated(teacher) - 3, teacher), beside=edge_loss(other, teacher))
    # Squares 1, 4 and 9 of the largest, 9, against 1.
    assert edge_loss(ROW, TRIANGLE).item() == pytest.approx(2 * ((8 / 9) ** 2 + (5 / 9) ** 2) / 9)


@invariant("irg")
def moves_between_layers_count_by_the_farthest() -> None:
    still = torch.zeros(2, 2, 2, 2)
    # Four places of one channel against two channels of which each is the mean of two, and of one place.
    far = torch.tensor([[2.0, 4.0, 1.0, 1.0], [3.0, 3.0, 0.0, 4.0]]).reshape(2, 4, 1, 1)
    # Moves: 3^2 + 1^2 = 10 and 3^2 + 2^2 = 13.
    loss = transformation_loss((still, far), (torch.zeros(2, 1), torch.tensor([[1.0], [2.0]])))
    assert loss.item() == pytest.approx((10 / 13 - 1 / 4) ** 2 / 2)


@invariant("crd")
def memories_keep_their_length_and_only_rows_of_the_batch_move() -> None:
    torch.manual_seed(0)
    method: Any = create("crd", dim=4, negatives=5)
    labels = torch.arange(9) % 3
    networks = [Output(torch.zeros(3, 3), embedding=random(3, width)) for width in (5, 6)]
    batch = Batch(torch.zeros(3, 1), labels[[4, 0, 7]], torch.tensor([4, 0, 7]))
    method.remember(labels)
    method.adapt(*networks)
    before = [memory.rows.clone() for memory in (method.student_memory, method.teacher_memory)]
    method(*networks, batch)
    for old, memory in zip(before, (method.student_memory, method.teacher_memory), strict=True):
        torch.testing.assert_close(memory.rows.norm(dim=1), torch.ones(9))
        moved = (old != memory.rows).any(dim=1)
        assert moved.nonzero().flatten().tolist() == [0, 4, 7]


@invariant("compose")
def a_composition_is_the_sum_of_its_parts_with_the_labels_once() -> None:
    student, teacher = (Output(random(6, 4, seed=seed), embedding=random(6, 3, seed=seed + 5)) for seed in (1, 2))
    batch = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 1, 2, 2, 1]), torch.arange(6))
    found = create("compose", terms=["hinton", {"name": "rkd", "scale": 0.5, "angle": 7}])(student, teacher, batch)
    soft = create("hinton")(student, teacher, batch)["soft"]
    rkd = create("rkd", angle=7.0)(student, teacher, batch)
    assert list(found) == ["hinton.soft", "rkd.distance", "rkd.angle", "hard"]
    torch.testing.assert_close(found["hinton.soft"], soft)
    torch.testing.assert_close(found["rkd.angle"], rkd["angle"] / 2)
    torch.testing.assert_close(found["hard"], F.cross_entropy(student.logits, batch.labels))
