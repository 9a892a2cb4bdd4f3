"""What holds for every method."""

import evidence
import pytest
import torch
from torch import Tensor, nn

from distill.errors import ConfigError
from distill.methods import Method, create, methods, names
from distill.models import create as create_network
from distill.models.networks.cnn import CnnOptions
from distill.models.taps import Tapped, Taps, default_taps, with_preactivations
from distill.types import Batch, Output

evidence.collect()

# Those with a plan of their own are held to what is theirs elsewhere.
ONE_TEACHER_ONE_STUDENT = [name for name in names() if name == "none" or not methods.find(name).factory.arranges()]


def logits(seed: int) -> Tensor:
    return torch.randn(6, 10, generator=torch.Generator().manual_seed(seed))


def examples() -> Batch:
    random = torch.Generator().manual_seed(9)
    inputs = torch.randn(6, 1, 8, 8, generator=random)
    return Batch(inputs, torch.randint(0, 10, (6,), generator=random), torch.arange(6))


class TwoHeads(nn.Module):
    taps = Taps(heads=("labels", "teacher"))

    def __init__(self):
        super().__init__()
        self.labels, self.teacher = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        return (self.labels(inputs.flatten(1)) + self.teacher(inputs.flatten(1))) / 2


def pair(method: Method) -> tuple[Tapped, Tapped]:
    torch.manual_seed(0)
    networks = []
    for channels in ([3, 4], [4, 6]):
        network = create_network(CnnOptions(name="cnn", channels=channels, hidden=7), (1, 8, 8), 10).eval()
        network = TwoHeads() if "heads" in method.taps else network
        networks.append((network, with_preactivations(network, default_taps(network), examples().inputs)))
    own, other = networks
    other[0].requires_grad_(False)
    with torch.no_grad():
        own = method.redesign(own[0], own[1], other[0], other[1], examples())
        student, teacher = (Tapped(network, taps.only(method.taps)) for network, taps in (own, other))
        method.build(student, teacher, examples(), examples().labels)
    return student, teacher


def test_every_method_is_held_to_something():
    held = {method for check in evidence.CHECKS.values() for method in check.methods} | set(evidence.INVARIANTS)
    assert sorted(held) == names()


@pytest.mark.parametrize("name", ONE_TEACHER_ONE_STUDENT)
def test_losses_are_named_finite_scalars_in_fp32_even_when_networks_compute_in_bf16(name):
    method = create(name)
    student, teacher = pair(method)
    batch = examples()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answered, taught = student(batch.inputs), teacher(batch.inputs)
    assert answered.logits.dtype == torch.bfloat16
    losses = method(answered.float(), taught.float(), batch)
    assert losses
    for loss in losses.values():
        assert (loss.shape, loss.dtype) == ((), torch.float32)
        assert loss.isfinite()


@pytest.mark.parametrize("name", ONE_TEACHER_ONE_STUDENT)
def test_gradient_reaches_the_student_and_never_the_teacher(name):
    method = create(name)
    student, teacher = pair(method)
    batch = examples()
    torch.stack(list(method(student(batch.inputs), teacher(batch.inputs), batch).values())).sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in student.network.parameters())
    assert all(parameter.grad is None for parameter in teacher.network.parameters())


@pytest.mark.parametrize("name", ONE_TEACHER_ONE_STUDENT)
def test_hard_losses_spread_their_labels_as_asked(name):
    method = create(name)
    pair(method)
    student, teacher = logits(1), logits(2)
    method.label_smoothing = 0.2
    # Szegedy et al. 2016, section 7: 1 - epsilon on the label and epsilon / classes on each class.
    batch = examples()
    target = nn.functional.one_hot(batch.labels, 10) * 0.8 + 0.02
    expected = -(target * student.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(method.hard_loss(student, batch), expected)
    if method.taps:
        return
    losses = method(Output(student), Output(teacher), batch)
    method.label_smoothing = 0.0
    plain = method(Output(student), Output(teacher), batch)
    changed = {name for name in losses if not torch.equal(losses[name], plain[name])}
    assert changed == {"hard"} & set(losses)


@pytest.mark.parametrize(
    "name", [name for name in ONE_TEACHER_ONE_STUDENT if create(name).uses_teacher and not create(name).taps]
)
def test_networks_for_different_classes_are_refused(name):
    method = create(name)
    pair(method)
    with pytest.raises(ConfigError, match="teacher answers for 7 classes and the student for 10"):
        method(Output(logits(1)), Output(logits(2)[:, :7]), examples())


def test_an_unknown_method_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no method called 'hintn' \(did you mean 'hinton'\?\); known: .*soft_hard"):
        create("hintn")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"T": 0}, "T=0 is not allowed: it must be greater than 0."),
        ({"alpha": 1.5}, "alpha=1.5 is not allowed: it must be less than or equal to 1."),
        ({"temperature": 4.0}, "There is no key temperature (did you mean 'T'?)."),
    ],
)
def test_options_are_checked_in_python_as_in_yaml(options, sentence):
    with pytest.raises(ConfigError) as caught:
        create("hinton", **options)
    assert caught.value.problems == (sentence,)
