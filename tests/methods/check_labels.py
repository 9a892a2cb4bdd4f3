"""Methods that learn from classes, not from soft targets."""

import torch
from evidence import invariant
from torch import nn

from distill.methods import create
from distill.types import Batch, Output

STUDENT = torch.randn(6, 10, generator=torch.Generator().manual_seed(1))
BATCH = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 9, 4, 4, 1]), torch.arange(6))


@invariant("none")
def labels_are_all_it_learns_from() -> None:
    losses = create("none")(Output(STUDENT), Output(torch.empty(0)), BATCH)
    torch.testing.assert_close(losses["hard"], nn.functional.cross_entropy(STUDENT, BATCH.labels))


@invariant("hard_teacher")
def a_teacher_that_is_right_is_a_second_label() -> None:
    right = nn.functional.one_hot(BATCH.labels, 10).float()
    losses = create("hard_teacher")(Output(STUDENT), Output(right), BATCH)
    torch.testing.assert_close(sum(losses.values()), nn.functional.cross_entropy(STUDENT, BATCH.labels))
