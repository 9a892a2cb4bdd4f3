"""Stages, adapters and refusals of the methods on feature maps."""

from typing import Any

import pytest
import torch
from evidence import Vectors
from torch import Tensor, nn

from distill import methods
from distill.errors import ConfigError
from distill.methods.kdsvd import singular_vectors
from distill.models import create as create_network
from distill.models.networks.resnet import ResnetOptions
from distill.models.taps import Tapped, default_taps, with_preactivations
from distill.types import Batch, Output

ON_MAPS = ("at", "nst", "ft", "fsp", "kdsvd")
ON_ANY = ("fitnet", "ab", "cosine_hidden", "feature_mse")
BATCH = Batch(
    torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 3]), torch.arange(4)
)


def create(name: str, **options: Any) -> Any:
    return methods.create(name, **options)


def tapped(method: Any, widths: list[int], seed: int) -> Tapped:
    torch.manual_seed(seed)
    network = create_network(ResnetOptions(name="resnet", depth=8, widths=widths), (1, 8, 8), 4).eval()
    taps = with_preactivations(network, default_taps(network), BATCH.inputs)
    return Tapped(network, taps.only(method.taps))


def made(name: str, **options: Any) -> tuple[Any, Tapped, Output]:
    """A method with adapters, a student, and what a wider teacher answered."""
    method = create(name, **options)
    student, teacher = tapped(method, [2, 2, 3, 4], 1), tapped(method, [3, 3, 5, 6], 2)
    with torch.no_grad():
        method.build(student, teacher, BATCH, BATCH.labels)
        return method, student, teacher.see(BATCH)


def staged(name: str, **options: Any) -> tuple[Any, Tapped, Output]:
    return made(name, **options, **({"stages": "two"} if name == "fitnet" else {}))


def answer(seed: int, *shapes: tuple[int, ...]) -> Output:
    random = torch.Generator().manual_seed(seed)
    features = tuple(torch.randn(4, *shape, generator=random) for shape in shapes)
    return Output(torch.randn(4, 3, generator=random), features, preactivations=features)


def learn(losses: dict[str, Tensor]) -> None:
    torch.stack(list(losses.values())).sum().backward()


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("fitnet", {"fitnet"}, {"soft", "hard"}),
        ("ab", {"ab"}, {"hard"}),
        ("fsp", {"fsp"}, {"hard"}),
        ("ft", {"reconstruction", "hard"}, {"ft", "hard"}),
    ],
)
def test_a_first_stage_takes_its_share_of_the_epochs(name, first, second):
    method, student, taught = staged(name, init=0.25)
    assert method.changes
    found = []
    for epoch in range(8):
        method.start_epoch(epoch, 8)
        found.append(set(method(student(BATCH.inputs), taught, BATCH)))
    assert found == [first] * 2 + [second] * 6


@pytest.mark.parametrize(("epochs", "first"), [(240, 30), (100, 12), (10, 1), (2, 1), (1, 0)])
def test_a_first_stage_has_an_epoch_and_leaves_one(epochs, first):
    method = create("ab")
    begun = []
    for epoch in range(epochs):
        method.start_epoch(epoch, epochs)
        begun.append(method.initialises)
    assert begun == [True] * first + [False] * (epochs - first)


@pytest.mark.parametrize("name", ["ab", "fsp", "fitnet"])
def test_a_stage_that_is_over_costs_nothing(name, monkeypatch):
    method, student, _ = staged(name, **({"soft_start": 0.0, "soft_end": 0.0} if name == "fitnet" else {}))
    method.start_epoch(0, 2)
    assert method.reads_teacher
    method.start_epoch(1, 2)
    assert not method.reads_teacher
    monkeypatch.setattr(method, "distance", None)
    assert set(method(student(BATCH.inputs), Output(torch.empty(0)), BATCH)) == {"hard"}


def test_soft_targets_of_the_second_stage_want_the_teacher():
    assert create("ab", soft_weight=1.0).reads_teacher
    assert not create("fsp").reads_teacher
    assert create("fitnet").reads_teacher
    assert create("ft").reads_teacher


def test_nothing_above_the_hint_moves_in_the_first_stage():
    method, student, taught = made("fitnet", stages="two", hint=2)
    method.start_epoch(0, 2)
    learn(method(student(BATCH.inputs), taught, BATCH))
    moved = {name.split(".")[0] for name, weight in student.network.named_parameters() if weight.grad is not None}
    assert moved == {"conv1", "bn1", "layer1", "layer2"}
    assert all(parameter.grad is not None for parameter in method.parameters())


@pytest.mark.parametrize(("hint", "widths"), [(1, (2, 3)), (2, (3, 5)), (3, (4, 6)), (9, (4, 6))])
def test_the_hint_is_a_stage_counted_from_one_or_the_last(hint, widths):
    method, _, _ = made("fitnet", hint=hint)
    convolution = method.regressor[0]
    assert (convolution.in_channels, convolution.out_channels) == widths


def test_stages_are_counted_in_pairs_where_the_teacher_has_more():
    method = create("fitnet", hint=1)
    method.adapt(answer(1, (4,), (5,)), answer(2, (6,), (7,), (8,), (9,)))
    assert (method.regressor[0].in_features, method.regressor[0].out_features) == (4, 7)


def test_the_regressor_ends_with_the_non_linearity_of_the_hint():
    method = create("fitnet")
    rectified = answer(2, (6,))
    method.adapt(answer(1, (4,)), Output(rectified.logits, (rectified.features[0].relu(),)))
    assert [type(part) for part in method.regressor] == [nn.Linear, nn.ReLU]
    method.adapt(answer(1, (4,)), rectified)
    assert [type(part) for part in method.regressor] == [nn.Linear]


def test_the_weight_of_soft_targets_falls_from_4_to_1_in_the_second_stage():
    method = create("fitnet", stages="two", init=0.25)
    weights = []
    for epoch in range(8):
        method.start_epoch(epoch, 8)
        weights.append(method.soft_weight)
    assert weights[2:] == pytest.approx([4.0, 3.4, 2.8, 2.2, 1.6, 1.0])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"soft_weight": 1.0}, "soft_weight=1 is not allowed with stages=two, where that weight moves"),
        ({"init": 0.0}, "init=0 is not allowed with stages=two"),
    ],
)
def test_options_that_two_stages_do_not_know_are_refused(options, problem):
    with pytest.raises(ConfigError, match=problem):
        create("fitnet", stages="two", **options)


def test_the_paraphraser_learns_in_the_first_stage_alone_and_the_translator_after_it():
    method, student, taught = made("ft")
    learnt = []
    for epoch in range(2):
        method.zero_grad()
        method.start_epoch(epoch, 2)
        learn(method(student(BATCH.inputs), taught, BATCH))
        learnt.append({name.split(".")[0] for name, weight in method.named_parameters() if weight.grad is not None})
    assert learnt == [{"paraphraser", "decoder"}, {"translator"}]


def test_the_student_learns_labels_alone_while_the_paraphraser_learns():
    method, student, taught = made("ft")
    method.start_epoch(0, 2)
    losses = method(student(BATCH.inputs), taught, BATCH)
    assert not losses["reconstruction"].isnan()
    parameters = list(student.network.parameters())
    found = torch.autograd.grad(losses["reconstruction"], parameters, allow_unused=True)
    assert found == (None,) * len(parameters)


@pytest.mark.parametrize(("k", "channels"), [(0.5, 3), (1.0, 6), (0.01, 1)])
def test_factors_have_a_share_of_the_teachers_channels(k, channels):
    method, _, _ = made("ft", k=k)
    assert method.paraphraser(torch.zeros(1, 6, 2, 2)).shape == (1, channels, 2, 2)
    assert method.translator(torch.zeros(1, 4, 2, 2)).shape == (1, channels, 2, 2)
    assert method.decoder(torch.zeros(1, channels, 2, 2)).shape == (1, 6, 2, 2)


def test_attention_maps_of_factors_differ_from_the_factors():
    losses = []
    for compare in ("factors", "attention"):
        method, student, taught = made("ft", compare=compare, init=0.0)
        losses.append(method(student(BATCH.inputs), taught, BATCH)["ft"].item())
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", ["fsp", "kdsvd"])
def test_widths_are_adapted_only_where_they_differ(name):
    method = create(name)
    method.adapt(answer(1, (3, 8, 8), (4, 4, 4)), answer(2, (3, 8, 8), (6, 4, 4)))
    assert [type(adapter) for adapter in method.adapters] == [nn.Identity, nn.Conv2d]


@pytest.mark.parametrize("name", [*ON_MAPS, *ON_ANY])
@pytest.mark.parametrize("shapes", [[(3, 8, 8), (4, 4, 4)], [(3, 5, 7), (4, 3, 2), (5, 1, 1)]])
def test_any_two_shapes_can_be_compared(name, shapes):
    method = create(name)
    student, teacher = answer(1, *shapes), answer(2, (4, 6, 6), (6, 3, 3))
    student = Output(student.logits, tuple(each.requires_grad_() for each in student.features), None, student.features)
    method.adapt(student, teacher)
    own = method.distance(student, teacher, BATCH)
    assert own.isfinite()
    assert any(gradient is not None for gradient in torch.autograd.grad(own, student.features, allow_unused=True))
    last = [tuple(each.to(memory_format=torch.channels_last) for each in one.features) for one in (student, teacher)]
    flipped = [Output(student.logits, maps, preactivations=maps) for maps in last]
    torch.testing.assert_close(method.distance(*flipped, BATCH), own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [*ON_MAPS, *ON_ANY])
def test_a_student_whose_maps_are_zero_has_a_finite_gradient(name):
    method = create(name)
    dead = tuple(torch.zeros(4, *shape, requires_grad=True) for shape in [(3, 8, 8), (4, 4, 4)])
    student, teacher = Output(torch.zeros(4, 3), dead, preactivations=dead), answer(2, (3, 8, 8), (4, 4, 4))
    method.adapt(student, teacher)
    gradients = torch.autograd.grad(method.distance(student, teacher, BATCH), dead, allow_unused=True)
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", ON_ANY)
@pytest.mark.parametrize("teacher", [(6,), (6, 4, 4)])
def test_vectors_are_compared_where_that_makes_sense(name, teacher):
    method = create(name)
    student, taught = answer(1, (5,), (4,)), answer(2, (8,), teacher)
    method.adapt(student, taught)
    assert method.distance(student, taught, BATCH).isfinite()


@pytest.mark.parametrize("name", ON_MAPS)
@pytest.mark.parametrize("whose", ["student", "teacher"])
def test_vectors_are_refused_where_that_makes_none(name, whose):
    picture, vector = answer(1, (3, 8, 8), (4, 4, 4)), answer(2, (5,), (4,))
    student, teacher = (vector, picture) if whose == "student" else (picture, vector)
    with pytest.raises(ConfigError, match=f"method={name} needs feature maps, and the {whose} has none"):
        create(name).adapt(student, teacher)


@pytest.mark.parametrize("name", ON_ANY)
def test_networks_without_a_hidden_layer_are_refused(name):
    with pytest.raises(ConfigError, match=f"method={name} needs a hidden layer, and the teacher has none"):
        create(name).adapt(answer(1, (5,)), answer(2))


@pytest.mark.parametrize("name", ["fsp", "kdsvd"])
def test_a_single_map_has_no_next_one(name):
    with pytest.raises(ConfigError, match="the student is read at 1: name 2 modules or more"):
        create(name).adapt(answer(1, (3, 8, 8)), answer(2, (3, 8, 8), (4, 4, 4)))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_singular_vectors_are_those_of_the_reference_but_for_their_sign(stage):
    vectors = Vectors("kdsvd")
    found, values = singular_vectors(vectors[f"feat_t{stage}"], 1)
    cosines = (found * vectors.aux(f"teacher_v_stage{stage}")).sum(dim=1).abs()
    torch.testing.assert_close(cosines, torch.ones_like(cosines), rtol=0, atol=1e-5)
    lengths = nn.functional.normalize(values, dim=1).double()
    torch.testing.assert_close(lengths, vectors.aux(f"teacher_s_stage{stage}"))


@pytest.mark.parametrize(("channels", "side"), [(9, 2), (3, 4)])
def test_singular_vectors_have_the_gradient_of_torchs_decomposition(channels, side):
    random = torch.Generator().manual_seed(0)
    feature = torch.randn(3, channels, side, side, generator=random, requires_grad=True)
    weight = torch.randn(3, channels, 1, generator=random)
    found, _ = singular_vectors(feature, 1)
    (gradient,) = torch.autograd.grad((found * weight).sum(), feature)
    rows = torch.linalg.svd(feature.double().flatten(2).mT, full_matrices=False)[2]
    expected = rows.mT[:, :, :1]
    expected = expected * (expected * found).sum(dim=1, keepdim=True).detach().sign()
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    (exact,) = torch.autograd.grad((expected * weight).sum(), feature)
    torch.testing.assert_close(gradient, exact, rtol=1e-3, atol=1e-5)


def test_a_loss_that_is_not_finite_reaches_the_watcher_and_no_decomposition_fails():
    method = create("kdsvd")
    student, teacher = answer(1, (3, 4, 4), (4, 2, 2)), answer(2, (3, 4, 4), (4, 2, 2))
    method.adapt(student, teacher)
    student.features[0][0, 0, 0, 0] = float("nan")
    assert method.distance(student, teacher, BATCH).isnan()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ab", {}),
        ("fsp", {}),
        ("fitnet", {"stages": "two", "soft_end": 0.0}),
        ("fitnet", {"stages": "two", "soft_start": 0.0}),
    ],
)
def test_a_second_stage_without_anything_to_learn_from_is_refused(name, options):
    with pytest.raises(ConfigError, match="hard_weight=0 is not allowed with"):
        create(name, hard_weight=0.0, **options)
    create(name, hard_weight=0.0, **({} if name == "fitnet" else {"soft_weight": 1.0}))
    create("ft", hard_weight=0.0)


def test_more_singular_vectors_than_a_map_has_are_refused():
    student, teacher = answer(1, (3, 4, 4), (4, 2, 2)), answer(2, (6, 4, 4), (8, 2, 2))
    create("kdsvd", k=4).adapt(student, teacher)
    with pytest.raises(ConfigError, match=r"method.k=5 is not allowed: .* give at most 4"):
        create("kdsvd", k=5).adapt(student, teacher)
