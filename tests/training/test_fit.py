"""The loop: the same seed gives the same bits, and what the hparams ask for happens to the weights."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from distill.data import Augmentation, Batches
from distill.errors import TrainingError
from distill.methods import create
from distill.methods.base import Method
from distill.methods.hinton import Hinton, HintonOptions
from distill.methods.none import LabelsOnly, NoneOptions
from distill.models.taps import Tapped
from distill.training.fit import fit
from distill.training.interrupt import Stop
from distill.training.precision import Precision
from distill.training.teacher_outputs import Cached, Live, cacheable
from distill.types import Batch, Output

FP32 = Precision("fp32", torch.device("cpu"))


def vector(network: nn.Module) -> Tensor:
    return parameters_to_vector(network.parameters()).detach().clone()


@pytest.fixture
def trained(training, watcher, tmp_path):
    def train(**changes) -> Tensor:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "checkpoint.pt"
        path.parent.mkdir()
        return vector(fit(training(**changes), path, watcher(), Stop()).network)

    return train


def test_the_same_seed_gives_the_same_bits_and_another_does_not(trained):
    first = trained(dropout=0.3, shift=1)
    torch.rand(7)
    assert torch.equal(first, trained(dropout=0.3, shift=1))
    assert not torch.equal(first, trained(dropout=0.3, shift=1, seed=6))


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw"])
def test_it_learns(optimizer, training, watcher, tmp_path):
    rate = 0.05 if "adam" not in optimizer else 0.02
    done = fit(training(optimizer=optimizer, epochs=20, lr=rate), tmp_path / "c.pt", watcher(), Stop())
    assert done.history[-1]["loss"] < 0.5 * done.history[0]["loss"]
    assert done.history[-1]["train_accuracy"] > 0.9
    assert not done.network.training


def test_a_row_per_epoch_says_what_happened(training, batches, watcher, tmp_path):
    seen = watcher()
    plan = training(val=batches(count=9), method=create("none"), schedule="constant", epochs=2)
    done = fit(plan, tmp_path / "c.pt", seen, Stop())
    assert done.history == seen.rows
    assert [(row["role"], row["epoch"], row["step"], row["lr"]) for row in done.history] == [
        ("student", 1, 5, 0.05),
        ("student", 2, 10, 0.05),
    ]
    assert done.seconds == pytest.approx(sum(row["seconds"] for row in done.history))
    last = done.history[-1]
    assert last["loss"] == pytest.approx(last["loss_hard"])
    for name, split in {"test_accuracy": plan.test, "val_accuracy": plan.val}.items():
        everything = next(split.in_order(100))
        right = (done.network(everything.inputs).argmax(dim=1) == everything.labels).float().mean()
        assert last[name] == pytest.approx(right.item())


def test_without_validation_examples_there_is_no_validation_accuracy(training, watcher, tmp_path):
    assert fit(training(epochs=1), tmp_path / "c.pt", watcher(), Stop()).history[0]["val_accuracy"] is None


def test_a_step_is_plain_gradient_descent(training, batches, watcher, tmp_path):
    everything = batches(count=8)
    plan = training(epochs=1, optimizer="sgd", lr=0.3, momentum=0.0, weight_decay=0.0, batches=everything)
    expected = copy.deepcopy(plan.network)
    batch = next(everything.epoch(0))
    cross_entropy(expected(batch.inputs), batch.labels).backward()
    with torch.no_grad():
        for parameter in expected.parameters():
            assert parameter.grad is not None
            parameter -= 0.3 * parameter.grad
    done = fit(plan, tmp_path / "c.pt", watcher(), Stop())
    torch.testing.assert_close(vector(done.network), vector(expected))


def test_clipping_bounds_the_norm_of_the_whole_gradient(training, batches, watcher, tmp_path):
    plan = training(
        epochs=1, optimizer="sgd", lr=2.0, momentum=0.0, weight_decay=0.0, grad_clip=0.01, batches=batches(count=8)
    )
    before = vector(plan.network)
    done = fit(plan, tmp_path / "c.pt", watcher(), Stop())
    assert (vector(done.network) - before).norm().item() == pytest.approx(2.0 * 0.01, rel=1e-3)


def test_the_average_of_the_weights_follows_its_closed_form(training, watcher, tmp_path):
    plan = training(ema=0.8, epochs=2)
    weights = [vector(plan.network).double()]
    done = fit(plan, tmp_path / "c.pt", watcher(on_step=lambda: weights.append(vector(plan.network).double())), Stop())
    steps = len(weights) - 1
    assert steps == 10
    # The n-th weights of N count (1 - d) d^(N-n), the initial ones d^N.
    expected = 0.8**steps * weights[0]
    for number, seen in enumerate(weights[1:], start=1):
        expected = expected + 0.2 * 0.8 ** (steps - number) * seen
    torch.testing.assert_close(vector(done.network).double(), expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(vector(done.network), vector(plan.network))


class BecomesNan(Method):
    calls = 0
    bad_call = 8

    def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        self.calls += 1
        return {"hard": self.hard_loss(student.logits, batch) * (float("nan") if self.calls == self.bad_call else 1.0)}


def test_a_loss_that_is_not_finite_stops_at_its_step_and_names_its_examples(training, watcher, tmp_path):
    plan = training(method=BecomesNan(create("none").options))
    epoch = [batch.index.tolist() for batch in plan.batches.epoch(1)]
    with pytest.raises(TrainingError) as caught:
        fit(plan, tmp_path / "c.pt", watcher(), Stop())
    assert str(caught.value) == (
        "The loss of the student is nan at epoch 2, step 3 of 5 (training examples "
        f"{', '.join(map(str, epoch[2]))}): a lower learning rate, hparams.grad_clip=1, precision=fp32 or "
        "hparams.on_nan=skip may help."
    )
    assert caught.value.facts["not_finite"] == {
        "role": "student",
        "epoch": 2,
        "step": 3,
        "examples": epoch[2],
        "examples_of_the_step_before": epoch[1],
    }


def test_an_epoch_without_any_term_is_told_in_a_sentence(training, watcher, tmp_path):
    class Silent(LabelsOnly):
        def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
            return super().terms(student, teacher, batch) if self.epoch == 0 else {}

    with pytest.raises(TrainingError, match=r"nothing to learn from in epoch 2: of method=none no term weighs"):
        fit(training(method=Silent(NoneOptions()), epochs=3), tmp_path / "c.pt", watcher(), Stop())


def test_a_gradient_that_is_not_finite_stops_at_the_latest_after_its_epoch(training, batches, watcher, tmp_path):
    plan = training(epochs=1)
    plan.network.classifier.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match=r"loss of the student is nan at epoch 1, step 2 of 5 \(training examples"):
        fit(plan, tmp_path / "c.pt", watcher(), Stop())
    plan = training(epochs=1, batches=batches(batch_size=40))
    plan.network.classifier.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match="weights of the student are not finite after epoch 1"):
        fit(plan, tmp_path / "d.pt", watcher(), Stop())


@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
@pytest.mark.parametrize(("clip", "bad"), [(None, (1, 2)), (1.0, (1, 2)), (None, (0, 0))])
def test_a_step_that_is_not_finite_can_be_skipped_and_is_counted(optimizer, clip, bad, training, watcher, tmp_path):
    """Skipping must leave weights and moments as if the batch had not been there."""
    common = {"epochs": 2, "optimizer": optimizer, "schedule": "constant", "on_nan": "skip", "grad_clip": clip}
    method = BecomesNan(create("none").options)
    method.bad_call = bad[0] * 5 + bad[1] + 1
    done = fit(training(method=method, **common), tmp_path / "c.pt", watcher(), Stop())
    assert [row.get("skipped") for row in done.history] == [1 if epoch == bad[0] else None for epoch in (0, 1)]
    assert all(math.isfinite(row["loss"]) for row in done.history)

    class Without(Batches):
        def epoch(self, number: int, start: int = 0):
            yield from (batch for step, batch in enumerate(super().epoch(number, start)) if (number, step) != bad)

    plan = training(**common)
    batches = Without(plan.batches.split, 8, plan.batches.normalization, plan.batches.augmentation, plan.batches.seed)
    expected = fit(dataclasses.replace(plan, batches=batches), tmp_path / "d.pt", watcher(), Stop())
    assert torch.equal(vector(done.network), vector(expected.network))


class SpoilsStatistics(nn.Module):
    """Batch norm that sees a NaN in its third step."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.classifier = nn.Linear(16, 3)
        self.calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        spoilt = inputs.flatten(1) * (float("nan") if self.training and self.calls == 3 else 1.0)
        return self.classifier(self.norm(spoilt))


def test_a_skipped_step_leaves_the_statistics_of_batch_norm_alone(training, watcher, tmp_path):
    network = SpoilsStatistics()
    plan = training(network=network, student=Tapped(network), epochs=1, on_nan="skip")
    done = fit(plan, tmp_path / "c.pt", watcher(), Stop())
    assert done.history[0]["skipped"] == 1
    assert all(bool(torch.isfinite(buffer).all()) for buffer in network.buffers())


def test_statistics_that_are_not_finite_stop_a_training(training, watcher, tmp_path):
    network = Norms()
    dict(network.named_buffers())["norm.running_var"].fill_(float("inf"))
    with pytest.raises(TrainingError, match="weights of the student are not finite after epoch 1"):
        fit(training(network=network, student=Tapped(network)), tmp_path / "c.pt", watcher(), Stop())


def test_a_training_that_skips_everything_is_stopped(training, watcher, tmp_path):
    class AlwaysNan(BecomesNan):
        def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
            return {"hard": self.hard_loss(student.logits, batch) * float("nan")}

    plan = training(method=AlwaysNan(create("none").options), on_nan="skip")
    with pytest.raises(TrainingError, match="learned nothing in epoch 1: the gradient of none of its 5 steps"):
        fit(plan, tmp_path / "c.pt", watcher(), Stop())


def test_a_scaler_may_skip_whole_epochs_until_its_scale_fits(training, batches, watcher, tmp_path):
    class Large(Method):
        def forward(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
            return {"hard": 1000 * self.hard_loss(student.logits, batch)}

    fp16 = Precision("fp16", torch.device("cpu"))
    plan = training(method=Large(create("none").options), batches=batches(batch_size=40), precision=fp16, epochs=20)
    done = fit(plan, tmp_path / "c.pt", watcher(), Stop())
    skipped = [row.get("skipped", 0) for row in done.history]
    assert skipped[0] == 1
    assert skipped[-1] == 0


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(parts, training, watcher, tmp_path):
    whole = fit(training(), tmp_path / "whole.pt", watcher(), Stop())
    split = fit(training(accumulate=parts), tmp_path / "split.pt", watcher(), Stop())
    torch.testing.assert_close(vector(split.network), vector(whole.network), rtol=1e-4, atol=1e-5)
    for one, other in zip(split.history, whole.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["train_accuracy"] == other["train_accuracy"]


def test_parts_are_doubled_until_they_fit_and_training_begins_anew(training, watcher, tmp_path):
    calls = []

    def small(module, inputs):
        calls.append(len(inputs[0]))
        if len(inputs[0]) > 3 and module.training:
            raise torch.OutOfMemoryError("CUDA out of memory")

    plan = training(accumulate="auto", dropout=0.3)
    plan.network.register_forward_pre_hook(small)
    seen = watcher()
    done = fit(plan, tmp_path / "auto.pt", seen, Stop())
    assert calls[:4] == [8, 4, 2, 2]
    assert seen.warnings == [
        f"A batch of the student goes through the network in {parts} parts, as memory ran out." for parts in (2, 4)
    ]
    expected = fit(training(accumulate=4, dropout=0.3), tmp_path / "four.pt", watcher(), Stop())
    assert torch.equal(vector(done.network), vector(expected.network))


def test_memory_that_runs_out_for_one_example_is_an_error(training, watcher, tmp_path):
    def never(module, inputs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    plan = training(accumulate="auto")
    plan.network.register_forward_pre_hook(never)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        fit(plan, tmp_path / "c.pt", watcher(), Stop())


class Norms(nn.Module):
    """A teacher that would change if it ran in training mode."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.classifier = nn.Linear(16, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.norm(inputs.flatten(1)))


def test_the_teacher_stays_as_it_is(training, watcher, tmp_path):
    network = Norms().train()
    before = copy.deepcopy(network.state_dict())
    fit(training(method=create("hinton"), teacher=Live(Tapped(network), FP32)), tmp_path / "c.pt", watcher(), Stop())
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in network.modules())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())


def exact_teacher() -> Live:
    """Of whole numbers: their sums are exact, however many examples are multiplied at once."""
    random = torch.Generator().manual_seed(2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, bias=False))
    network[1].weight.data = torch.randint(-4, 5, (3, 16), generator=random).float()
    return Live(Tapped(network), FP32)


def test_a_cached_teacher_teaches_the_very_same_weights_as_a_live_one(training, watcher, tmp_path):
    live = exact_teacher()
    students = []
    for name in ("live", "cached"):
        plan = training(method=create("hinton"), dropout=0.2)
        teacher = live if name == "live" else Cached(live, plan.batches, batch_size=7)
        plan = training(method=create("hinton"), dropout=0.2, teacher=teacher)
        students.append(vector(fit(plan, tmp_path / name, watcher(), Stop()).network))
    assert torch.equal(*students)


def test_cached_views_teach_the_very_same_weights_as_a_live_teacher(training, watcher, tmp_path):
    live = exact_teacher()
    students = []
    for name in ("live", "cached"):
        plan = training(method=create("hinton"), epochs=5)
        batches = Batches(plan.batches.split, 8, plan.batches.normalization, Augmentation(1, flip=True, views=2), 5)
        teacher = live if name == "live" else Cached(live, batches, batch_size=7)
        plan = dataclasses.replace(plan, batches=batches, teacher=teacher)
        students.append(vector(fit(plan, tmp_path / name, watcher(), Stop()).network))
    assert torch.equal(*students)
    assert cacheable(create("hinton"), batches, 3)


def test_teachers_are_cached_only_where_that_is_exact(batches):
    class ReadsFeatures(Hinton):
        taps = frozenset({"features"})

    hinton = Hinton(HintonOptions())
    assert cacheable(hinton, batches(), 3)
    assert not cacheable(hinton, batches(shift=1), 3)
    assert not cacheable(ReadsFeatures(hinton.options), batches(), 3)


def test_methods_hear_of_each_epoch_before_its_first_step(training, watcher, tmp_path):
    class Counts(BecomesNan):
        calls = -1000

        def start_epoch(self, epoch: int, epochs: int) -> None:
            heard.append((epoch, epochs, self.calls + 1000))

    heard: list[tuple[int, int, int]] = []
    fit(training(method=Counts(create("none").options), epochs=3), tmp_path / "c.pt", watcher(), Stop())
    assert heard == [(0, 3, 0), (1, 3, 5), (2, 3, 10)]


def test_a_teacher_that_does_not_count_is_not_asked(training, watcher, tmp_path):
    class FirstEpoch(Hinton):
        @property
        def reads_teacher(self) -> bool:
            return self.epoch == 0

        def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
            return super().terms(student, teacher if self.reads_teacher else student, batch)

    asked = []

    def teacher(batch: Batch) -> Output:
        asked.append(len(batch))
        return Output(torch.zeros(len(batch), 3))

    taught = training(epochs=3, method=FirstEpoch(HintonOptions()), teacher=teacher)
    fit(taught, tmp_path / "checkpoint.pt", watcher(), Stop())
    assert asked == [8] * 5


def test_a_batch_that_batch_norm_cannot_learn_from_is_told_in_a_sentence(training, batches, tmp_path, watcher):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3), torch.nn.BatchNorm1d(3))
    single = training(network=network, student=Tapped(network), batches=batches(batch_size=1))
    with pytest.raises(TrainingError, match=r"student has batch norm.*hparams\.batch_size"):
        fit(single, tmp_path / "checkpoint.pt", watcher(), Stop())
