"""Pictures made of a teacher: the generator of `dafl`, and those that `deepinversion` trains."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.schema import Hparams
from distill.methods import create, methods
from distill.methods.dafl import Dafl
from distill.methods.generator import Generator
from distill.methods.inversion import Dream, Inversion
from distill.models.taps import Tapped, Taps
from distill.training.descent import Descent
from distill.training.precision import Precision
from distill.training.world import ALONE
from distill.types import Batch, Output

CLASSES = 3


class Small(nn.Module):
    """One convolution, batch norm, a classifier."""

    taps = Taps(embedding="classifier")

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.norm(self.conv(inputs)).relu().mean(dim=(2, 3)))


def small(seed: int) -> Small:
    torch.manual_seed(seed)
    return Small().eval()


def example(count: int = 4) -> Batch:
    """Black pictures with one white pixel, as networks see them: black is -1 and white is 2."""
    inputs = torch.full((count, 1, 8, 8), -1.0)
    inputs[:, :, 0, 0] = 2.0
    return Batch(inputs, torch.zeros(count, dtype=torch.int64), torch.arange(count))


def dafl(**options: object) -> tuple[Dafl, Small, Small]:
    """The method with a teacher that is frozen, and a student."""
    student, teacher = small(1), small(2).requires_grad_(False)
    made = create("dafl", width=4, latent=5, **options)
    assert isinstance(made, Dafl)
    tapped = Tapped(teacher, Taps(embedding="classifier"))
    with torch.no_grad():
        made.build(Tapped(student), tapped, example(), example().labels)
    made.inherit(lambda batch: tapped.see(batch), [])
    return made, student, teacher


def gradients(module: nn.Module) -> list[bool]:
    return [value.grad is not None and bool(value.grad.any()) for value in module.parameters()]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 7, 9)])
def test_a_generator_makes_pictures_of_any_size_with_mean_0_and_variance_1(shape):
    torch.manual_seed(0)
    pictures = Generator(6, shape, 4)(torch.randn(16, 6))
    assert pictures.shape == (16, *shape)
    variance, mean = torch.var_mean(pictures, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(shape[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(variance, torch.ones(shape[0]), atol=1e-2, rtol=0)


def test_the_generator_learns_through_the_teacher_and_the_student_from_its_answers():
    method, student, teacher = dafl()
    torch.manual_seed(3)
    batch = method.prepare(example())
    assert not batch.inputs.requires_grad
    assert torch.equal(batch.labels, teacher(batch.inputs).argmax(dim=1))
    terms = method(Output(student(batch.inputs)), Output(torch.empty(0)), batch)
    assert terms["soft"].item() == pytest.approx(
        F.kl_div(
            student(batch.inputs).log_softmax(1),
            teacher(batch.inputs).log_softmax(1),
            log_target=True,
            reduction="batchmean",
        ).item(),
        rel=1e-4,
    )
    terms["soft"].backward()
    assert any(gradients(student))
    assert not any(gradients(method.get_submodule("generator")))
    student.zero_grad()
    (terms["one_hot"] + terms["balance"] + terms["activation"]).backward()
    assert any(gradients(method.get_submodule("generator")))
    assert not any(gradients(student))
    assert not any(gradients(teacher))


def test_every_step_has_other_pictures_and_those_that_are_shown_are_always_the_same():
    method, _, _ = dafl()
    first, second = (method.prepare(example()).inputs for _ in range(2))
    assert not torch.equal(first, second)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    shown = method.generated(7)
    assert shown.shape == (7, 1, 8, 8)
    torch.rand(3)
    assert torch.equal(method.generated(7), shown)
    assert all(torch.equal(value, method.state_dict()[name]) for name, value in before.items())


def test_adapters_may_learn_at_another_rate_than_the_network():
    network, adapters = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    before = network.weight.item(), adapters.weight.item()
    hparams = Hparams(epochs=1, optimizer="sgd", momentum=0.9, weight_decay=0.0)
    precision = Precision("fp32", torch.device("cpu"))
    descent = Descent(network.parameters(), hparams, precision, ALONE, adapters=adapters.parameters(), lr_scale=100)
    descent.begin(0.001)
    descent.add(2 * network.weight.sum() + 3 * adapters.weight.sum())
    descent.finish()
    assert before[0] - network.weight.item() == pytest.approx(0.001 * 2, rel=1e-3)
    assert before[1] - adapters.weight.item() == pytest.approx(0.1 * 3, rel=1e-3)
    assert descent.rate == 0.001


def inversion(**options: object) -> tuple[Inversion, Dream, Tapped]:
    """The method, its pictures before a network, and what is read of that."""
    made = methods.create("inversion", **{"pictures": 8, "batch": 4, **options})
    with torch.no_grad():
        dream, taps = made.redesign(small(1), Taps(), None, Taps(), example(2))
        tapped = Tapped(dream, taps)
        made.build(tapped, tapped, example(2), example(2).labels)
    return made, dream, tapped


def step(method: Inversion, dream: Dream, tapped: Tapped, lr: float = 0.1) -> dict[str, Tensor]:
    batch = method.prepare(example())
    terms = method(tapped.see(batch).float(), Output(torch.empty(0)), batch)
    torch.stack(list(terms.values())).sum().backward()
    with torch.no_grad():
        for pictures in dream.batches:
            if pictures.grad is not None:
                pictures -= lr * pictures.grad
            pictures.grad = None
    method.after_step(dream)
    return terms


def test_batches_of_pictures_are_trained_in_turn_and_the_network_stays_as_it_is():
    method, dream, tapped = inversion()
    dream.train()
    judge = {name: value.clone() for name, value in dream.judge.state_dict().items()}
    before = [pictures.clone() for pictures in dream.batches]
    step(method, dream, tapped)
    assert [torch.equal(old, new) for old, new in zip(before, dream.batches, strict=True)] == [False, True]
    step(method, dream, tapped)
    assert not torch.equal(before[1], dream.batches[1])
    assert dream.step == 2
    assert all(torch.equal(value, dream.judge.state_dict()[name]) for name, value in judge.items())
    assert not any(value.requires_grad or value.grad is not None for value in dream.judge.parameters())


def test_pictures_are_of_the_classes_in_turn_and_stay_between_black_and_white():
    method, dream, tapped = inversion()
    assert method.prepare(example()).labels.tolist() == [0, 1, 2, 0]
    step(method, dream, tapped, lr=1e3)
    assert method.prepare(example()).labels.tolist() == [1, 2, 0, 1]
    assert dream.batches[0].aminmax() == (-1, 2)
    shares = dream.shares[:4]
    assert (shares.min().item(), shares.max().item()) == (0, 1)
    free, wild, read = inversion(clip=False)
    step(free, wild, read, lr=1e3)
    assert wild.batches[0].abs().max() > 2


def test_a_batch_is_shifted_as_one_and_wraps_around():
    method, dream, _ = inversion(jitter=2)
    still, same, _ = inversion(jitter=0)
    assert torch.equal(still.prepare(example()).inputs, same.batches[0])
    torch.manual_seed(0)
    pictures = dream.batches[0]
    for _ in range(5):
        seen = method.prepare(example()).inputs
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(seen, pictures.roll((down, right), dims=(2, 3)))
        ]
        assert len(found) == 1


def test_pictures_with_the_statistics_that_batch_norm_remembers_lose_nothing_by_them():
    method, dream, tapped = inversion(jitter=0, statistics=1.0, tv=0.0)
    judge = dream.judge
    assert isinstance(judge, Small)
    assert step(method, dream, tapped, lr=0.0)["statistics"] > 0.1
    with torch.no_grad():
        variance, mean = torch.var_mean(judge.conv(dream.batches[1]), dim=(0, 2, 3), correction=0)
        judge.norm.running_mean, judge.norm.running_var = mean, variance
        method.build(tapped, tapped, example(2), example(2).labels)
    terms = step(method, dream, tapped, lr=0.0)
    assert terms["statistics"].item() == pytest.approx(0, abs=1e-5)
    assert terms.keys() == {"class", "statistics"}
