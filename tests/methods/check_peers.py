"""What the formulas of networks that teach each other, or themselves, imply."""

import math

import torch
import torch.nn.functional as F
from evidence import invariant
from torch import Tensor, nn

from distill.methods import Method, create
from distill.methods.hard_labels import hard_labels
from distill.methods.mean_teacher import average_decay
from distill.models.taps import NOTHING, Tapped
from distill.models.together import Together
from distill.types import Batch, Output

LABELS = torch.tensor([3, 0, 4, 4, 1, 2])
BATCH = Batch(torch.zeros(6, 1), LABELS, torch.arange(6))
NOBODY = Output(torch.empty(0))


def logits(seed: int) -> Tensor:
    return (2 * torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def divergence(of: Tensor, to: Tensor, T: float = 1.0) -> Tensor:
    """KL(of || to) by torch's own formula."""
    return F.kl_div((to / T).log_softmax(1), (of / T).log_softmax(1), log_target=True, reduction="batchmean")


def gradient(loss: Tensor, by: Tensor) -> Tensor:
    return torch.autograd.grad(loss, by, retain_graph=True)[0]


def total(method: Method, *heads: Tensor, answer: Tensor | None = None) -> Tensor:
    output = Output(heads[0] if answer is None else answer, heads=heads)
    return torch.stack(list(method(output, NOBODY, BATCH).values())).sum()


@invariant("dml")
def each_peer_learns_from_labels_and_from_the_mean_divergence_of_the_others() -> None:
    peers = [logits(seed) for seed in range(3)]
    losses = create("dml", peers=3)(Output(peers[0], heads=tuple(peers)), NOBODY, BATCH)
    assert list(losses) == [
        *("hard.student", "mutual.student", "hard.peer_2", "mutual.peer_2", "hard.peer_3", "mutual.peer_3")
    ]
    expected = (divergence(peers[0], peers[1]) + divergence(peers[2], peers[1])) / 2
    torch.testing.assert_close(losses["mutual.peer_2"], expected)
    torch.testing.assert_close(losses["hard.peer_2"], F.cross_entropy(peers[1], LABELS))


@invariant("dml")
def a_peer_is_moved_by_its_own_terms_alone_and_equal_peers_are_at_peace() -> None:
    one, other = logits(1), logits(2)
    method = create("dml")
    own = F.cross_entropy(one, LABELS) + divergence(other.detach(), one)
    torch.testing.assert_close(gradient(total(method, one, other), one), gradient(own, one))
    torch.testing.assert_close(total(method, one, other), total(method, other, one))
    equal = method(Output(one, heads=(one, one + 3)), NOBODY, BATCH)
    torch.testing.assert_close(equal["mutual.student"], torch.tensor(0.0))


@invariant("dml", "online")
def terms_of_labels_are_not_warmed_up() -> None:
    for name, others in (("dml", {"mutual.student", "mutual.peer_2"}), ("online", {"soft"})):
        output = Output(logits(1), heads=(logits(1), logits(2)))
        full = create(name)(output, NOBODY, BATCH)
        method = create(name, warmup=1.0)
        method.start_epoch(0, 4)
        risen = method(output, NOBODY, BATCH)
        assert {key for key in full if not torch.equal(full[key], risen[key])} == others
        for key in others:
            torch.testing.assert_close(risen[key], full[key] / 4)


@invariant("online")
def the_teacher_learns_from_labels_alone_and_the_student_as_hinton_says() -> None:
    student, teacher = logits(1), logits(2)
    loss = total(create("online", T=3.0, alpha=0.8), student, teacher)
    torch.testing.assert_close(gradient(loss, teacher), gradient(F.cross_entropy(teacher, LABELS), teacher))
    soft = 9 * divergence(teacher.detach(), student, 3.0)
    hinton = 0.2 * F.cross_entropy(student, LABELS) + 0.8 * soft
    torch.testing.assert_close(gradient(loss, student), gradient(hinton, student))


@invariant("one")
def the_ensemble_learns_from_labels_and_teaches_by_a_rising_weight() -> None:
    branches, ensemble = [logits(seed) for seed in range(3)], logits(7)
    method = create("one", T=2.0, ramp_share=0.5)
    taught = 4 * torch.stack([divergence(ensemble.detach(), branch, 2.0) for branch in branches]).sum()
    hard = torch.stack([F.cross_entropy(each, LABELS) for each in (*branches, ensemble)]).sum()
    for epoch, weight in ((0, math.exp(-5)), (1, math.exp(-5 / 4)), (2, 1.0), (3, 1.0)):
        method.start_epoch(epoch, 4)
        loss = total(method, *branches, answer=ensemble)
        torch.testing.assert_close(loss, hard + weight * taught)
        torch.testing.assert_close(gradient(loss, ensemble), gradient(F.cross_entropy(ensemble, LABELS), ensemble))


class _Constant(nn.Module):
    """A network of one weight."""

    def __init__(self, value: float):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1).mean(dim=1, keepdim=True) * self.value


@invariant("ema")
def the_average_follows_its_closed_form_without_gradient() -> None:
    method = create("ema", decay=0.7)
    pair, _ = method.redesign(_Constant(5.0), NOTHING, None, NOTHING, BATCH)
    assert isinstance(pair, Together)
    student, average = (pair.get_parameter(f"networks.{number}.value") for number in (0, 1))
    assert student.requires_grad
    assert not average.requires_grad
    values = [1.0, -2.0, 4.0, 8.0, 3.0]
    for value in values:
        student.data.fill_(value)
        method.after_step(pair)
    # decays 1/2, 2/3, then 0.7: the first two steps leave the plain mean of all three values so far
    expected = (5.0 + 1.0 - 2.0) / 3
    for value in values[2:]:
        expected = 0.7 * expected + 0.3 * value
    torch.testing.assert_close(average.item(), expected)
    assert [float(average_decay(step, 0.7)) for step in (1, 3)] == [0.5, torch.tensor(0.7).item()]


@invariant("ema")
def consistency_is_the_squared_error_of_probabilities_times_its_weight() -> None:
    student, average = logits(1), logits(2)
    method = create("ema", ramp_share=0.0)
    losses = method(Output(student, heads=(student, average)), NOBODY, BATCH)
    squared = (student.softmax(1) - average.softmax(1)).square().mean()
    torch.testing.assert_close(losses["consistency"], 100 * squared)
    by_kl = create("ema", consistency="kl", weight=2.0, ramp_share=0.0)
    losses = by_kl(Output(student, heads=(student, average)), NOBODY, BATCH)
    torch.testing.assert_close(losses["consistency"], 2 * divergence(average, student))


@invariant("ema")
def averaged_answers_are_those_of_the_earlier_epochs_alone() -> None:
    method = create("ema", form="temporal", momentum=0.6, weight=1.0, ramp_share=0.0)
    network = nn.Linear(1, 5)
    with Tapped(network) as tapped:
        method.build(tapped, tapped, BATCH, LABELS)
    answers = [logits(seed) for seed in range(3)]
    found = [method(Output(answer), NOBODY, BATCH)["consistency"] for answer in answers]
    first, second, third = (answer.softmax(1) for answer in answers)
    assert found[0] < 1e-12  # nothing was answered before
    torch.testing.assert_close(found[1], (second - first).square().mean())
    # .6 * .4 and .4 of them, divided by 1 - .6^2
    remembered = (0.24 * first + 0.4 * second) / 0.64
    torch.testing.assert_close(found[2], (third - remembered).square().mean())
    assert not gradient(found[2], answers[2]).isnan().any()


@invariant("self_distill")
def the_deepest_stage_teaches_and_is_not_taught_by_exits() -> None:
    random = torch.Generator().manual_seed(0)
    shallow, deep = (torch.randn(6, width, generator=random, requires_grad=True) for width in (4, 7))
    answer = logits(1)
    method = create("self_distill", T=3.0, alpha=0.25, hint_weight=0.5)
    method.adapt(Output(answer, features=(shallow, deep)), Output(answer))
    linear, relu, classifier = (method.get_submodule(f"exits.0.{number}") for number in range(3))
    hidden = relu(linear(shallow))
    exited = classifier(hidden)
    losses = method(Output(answer, features=(shallow, deep)), NOBODY, BATCH)
    torch.testing.assert_close(losses["hard.exits"], 0.75 * F.cross_entropy(exited, LABELS))
    torch.testing.assert_close(losses["soft"], 0.25 * 9 * divergence(answer, exited, 3.0))
    torch.testing.assert_close(losses["hint"], 0.5 * (hidden - deep).square().sum(dim=1).mean())
    loss = torch.stack(list(losses.values())).sum()
    torch.testing.assert_close(gradient(loss, answer), gradient(F.cross_entropy(answer, LABELS), answer))
    assert torch.autograd.grad(loss, deep, allow_unused=True, retain_graph=True)[0] is None
    assert method.observed()["exit_1_accuracy"] == (exited.argmax(1) == LABELS).float().mean()


def _remembering() -> Method:
    method = create("ema", form="temporal", ramp_share=0.0)
    with Tapped(nn.Linear(1, 5)) as tapped:
        method.build(tapped, tapped, BATCH, LABELS)
    method(Output(logits(9)), NOBODY, BATCH)
    return method


@invariant("dml", "online", "one", "ema", "self_distill")
def examples_without_a_label_are_learnt_from_by_all_but_the_terms_of_labels() -> None:
    labels = LABELS.clone()
    labels[:4] = -1
    batch = Batch(torch.zeros(6, 1), labels, torch.arange(6))
    random = torch.Generator().manual_seed(0)
    one, other, features = logits(1), logits(2), torch.randn(6, 4, generator=random, requires_grad=True)
    stages = (features, torch.randn(6, 32, generator=random))
    way_out = create("self_distill")
    way_out.adapt(Output(one, features=stages), Output(one))
    heads = Output(one, heads=(one, other))
    for method, output, learner in (
        (create("dml"), heads, one),
        (create("online"), heads, one),
        (create("one", branches=2, ramp_share=0.0), Output(logits(3), heads=(one, other)), one),
        (create("ema", ramp_share=0.0), heads, one),
        (_remembering(), Output(one), one),
        (way_out, Output(one, features=stages), features),
    ):
        method.hard_labels = hard_labels("plain", labels, 5)
        losses = method(output, NOBODY, batch)
        hard = torch.stack([loss for name, loss in losses.items() if name.startswith("hard")]).sum()
        rest = torch.stack([loss for name, loss in losses.items() if not name.startswith("hard")]).sum()
        assert not gradient(hard, learner)[:4].any()
        assert gradient(hard, learner)[4:].any(dim=1).all()
        assert gradient(rest, learner).any(dim=1).all()
