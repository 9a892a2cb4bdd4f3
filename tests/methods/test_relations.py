"""What relations between examples must bear: equal examples, single ones, stacks, and networks that lack a layer."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.errors import ConfigError
from distill.methods import create
from distill.types import Batch, Output

RELATIONS = ["rkd", "sp", "pkt", "cc", "irg"]
BATCH = Batch(torch.zeros(6, 1), torch.tensor([3, 0, 1, 2, 2, 1]), torch.arange(6))


def output(seed: int, width: int) -> Output:
    random = torch.Generator().manual_seed(seed)
    maps = [torch.randn(6, channels, side, side, generator=random) for channels, side in ((width, 4), (2 * width, 2))]
    return Output(torch.randn(6, 4, generator=random), tuple(maps), torch.randn(6, width, generator=random))


def built(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    method = create(name, **options)
    method.adapt(output(1, 3), output(2, 5))
    return method


@pytest.mark.parametrize("name", RELATIONS)
def test_equal_examples_give_a_finite_gradient(name):
    leaves = [torch.ones(6, 4), torch.ones(6, 3, 4, 4), torch.ones(6, 6, 2, 2), torch.ones(6, 3)]
    logits, first, second, embedding = (leaf.requires_grad_() for leaf in leaves)
    losses = built(name)(Output(logits, (first, second), embedding), output(2, 5), BATCH)
    torch.stack(list(losses.values())).sum().backward()
    for leaf in (logits, first, second, embedding):
        assert leaf.grad is None or leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", RELATIONS)
def test_a_batch_of_one_is_refused_before_anything_trains(name):
    assert create(name).smallest_batch == 2


@pytest.mark.parametrize("name", RELATIONS)
def test_stacked_trainings_have_the_losses_of_each_alone(name):
    method, teacher = built(name), output(2, 5)
    students = [output(seed, 3) for seed in (3, 4)]
    weights = torch.tensor([0.5, 2.0])

    def losses(weight: Any, logits: Tensor, first: Tensor, second: Tensor, embedding: Tensor) -> dict[str, Tensor]:
        options, method.options = method.options, replace(method.options, weight=weight)
        found = method(Output(logits, (first, second), embedding), teacher, BATCH)
        method.options = options
        return found

    parts: list[Any] = [(each.logits, *each.features, each.embedding) for each in students]
    stacked: Any = torch.func.vmap(losses)(weights, *map(torch.stack, zip(*parts, strict=True)))
    for number, part in enumerate(parts):
        for term, value in losses(weights[number].item(), *part).items():
            torch.testing.assert_close(stacked[term][number], value)


@pytest.mark.parametrize(
    ("name", "lacks", "sentence"),
    [
        ("rkd", {"embedding": None}, "method=rkd reads the embedding, and nobody knows where the teacher has it"),
        ("pkt", {"embedding": None}, "method=pkt reads the embedding"),
        ("cc", {"embedding": None}, "method=cc reads the embedding"),
        ("sp", {"features": ()}, "method=sp reads the last feature map, and nobody knows where the teacher has one"),
        ("irg", {"features": (torch.zeros(6, 5),)}, "method=irg compares two stages of each network, and the teacher"),
    ],
)
def test_a_network_without_what_is_compared_is_refused(name, lacks, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create(name).adapt(output(1, 3), replace(output(2, 5), **lacks))


def test_graphs_are_made_of_vectors_too():
    vectors = [
        Output(torch.randn(6, 4), (torch.randn(6, 8), torch.randn(6, width)), torch.randn(6, 3)) for width in (5, 9)
    ]
    method = create("irg")
    method.adapt(*vectors)
    assert all(loss.isfinite() for loss in method(*vectors, BATCH).values())


def test_correlations_are_taken_of_embeddings_as_they_are_or_of_learnt_ones():
    student, teacher = output(1, 3), output(2, 5)
    assert [tuple(each.shape) for each in built("cc").parameters()] == [(128, 3), (128,)]
    assert not list(built("cc", dim=None).parameters())
    same = built("cc", dim=None)(replace(student, embedding=teacher.embedding), teacher, BATCH)
    assert same["cc"].item() == 0
