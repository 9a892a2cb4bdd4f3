"""Learning from a teacher's own labels."""

import torch
from evidence import invariant
from torch import nn

from distill.data.split import Split
from distill.methods import create
from distill.types import Batch, Output

LABELS = torch.tensor([3, 0, -1, -1, 4, -1])
TEACHER = torch.tensor([[0.0] * 5, [0.0] * 5, [9.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0], [0.0] * 5, [0, 0, 8.0, 0, 0]])
STUDENT = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))


@invariant("self_training")
def labels_of_a_sure_teacher_count_as_labels() -> None:
    method = create("self_training", threshold=0.9)
    split = method.examples(Split(torch.arange(6.0)[:, None], LABELS), lambda: TEACHER)
    assert split.tensor.flatten().tolist() == [0, 1, 2, 4, 5]  # of the fourth the teacher is not sure
    assert split.labels.tolist() == [3, 0, 0, 4, 2]
    batch = Batch(torch.zeros(5, 1), split.labels, torch.arange(5))
    losses = method(Output(STUDENT[:5]), Output(torch.empty(0)), batch)
    torch.testing.assert_close(sum(losses.values()), nn.functional.cross_entropy(STUDENT[:5], split.labels))
    each = nn.functional.cross_entropy(STUDENT[:5], split.labels, reduction="none")
    torch.testing.assert_close(losses["pseudo"], each[[2, 4]].sum() / 5)


@invariant("self_training")
def a_threshold_of_one_is_the_labelled_examples_alone() -> None:
    method = create("self_training", threshold=1)
    certain = 1000 * TEACHER  # softmax gives exactly 1
    split = method.examples(Split(torch.arange(6.0)[:, None], LABELS), lambda: certain)
    assert split.tensor.flatten().tolist() == [0, 1, 4]
    assert method.found["pseudo_labels"]["joined"] == 0


@invariant("self_training")
def soft_labels_are_the_probabilities_of_the_teacher() -> None:
    method = create("self_training", threshold=0, soft=True, weight=2)
    split = method.examples(Split(torch.arange(6.0)[:, None], LABELS), lambda: TEACHER)
    batch = Batch(torch.zeros(6, 1), split.labels, torch.arange(6))
    losses = method(Output(STUDENT), Output(TEACHER), batch)
    hidden = LABELS < 0
    expected = nn.functional.cross_entropy(STUDENT[hidden], TEACHER[hidden].softmax(1), reduction="sum")
    torch.testing.assert_close(losses["pseudo"], 2 * expected / 6)
