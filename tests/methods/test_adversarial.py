"""The discriminator of `method=adversarial`: what it looks at, and what it is refused."""

import pytest
import torch

from distill.errors import ConfigError
from distill.methods import create
from distill.models.taps import NOTHING, Tapped
from distill.types import Batch, Output

BATCH = Batch(torch.zeros(4, 1), torch.tensor([0, 1, 2, 0]), torch.arange(4))


def answer(seed: int, width: int | None) -> Output:
    random = torch.Generator().manual_seed(seed)
    embedding = None if width is None else torch.randn(4, width, generator=random)
    return Output(torch.randn(4, 3, generator=random), embedding=embedding)


@pytest.mark.parametrize(("width", "expected"), [(7, 7 * 9 + 9), (9, 0)])
def test_embeddings_of_another_width_go_through_a_regressor_that_learns_to_fool_as_well(width, expected):
    method = create("adversarial", sees="embedding", alpha=0.0)
    assert method.taps == {"embedding"}
    method.adapt(answer(1, width), answer(2, 9))
    assert sum(parameter.numel() for parameter in method.regressor.parameters()) == expected  # type: ignore
    method(answer(1, width), answer(2, 9), BATCH)["discriminator"].backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_with_no_weight_and_whatever_the_discriminator_the_student_learns_as_with_hinton():
    student = answer(1, None).logits.requires_grad_()
    method, plain = create("adversarial", weight=0.0), create("hinton")
    method.adapt(Output(student), answer(2, None))
    gradients = [
        torch.autograd.grad(sum(terms.values(), torch.zeros(())), student)[0]
        for terms in (each(Output(student), answer(2, None), BATCH) for each in (method, plain))
    ]
    torch.testing.assert_close(*gradients)


def test_without_a_known_embedding_it_is_refused():
    method = create("adversarial", sees="embedding")
    with pytest.raises(ConfigError, match=r"method=adversarial reads the embedding.*student\.embedding="):
        method.adapt(answer(1, None), answer(2, 9))


def test_a_composition_logs_what_its_methods_observe():
    method = create("compose", terms="adversarial+0.5*dist")
    example = Batch(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), torch.arange(4))
    student, teacher = (Tapped(torch.nn.Linear(3, 3), NOTHING) for _ in range(2))
    with torch.no_grad():
        method.build(student, teacher, example, example.labels)
    method(answer(1, None), answer(2, None), BATCH)
    assert list(method.observed()) == ["adversarial.discriminator_accuracy"]
    assert method.observed() == {}
