"""Methods on feature maps, part two: what of their stages, schedules and refusals no formula tells."""

import copy

import pytest
import torch
from torch import Tensor, nn

from distill.errors import ConfigError
from distill.methods import Method, create
from distill.methods.ofd import gaussian_margin, norms_before
from distill.models import create as create_network
from distill.models.networks.cnn import CnnOptions
from distill.models.networks.mlp import MlpOptions
from distill.models.networks.resnet import ResnetOptions
from distill.models.taps import Tapped, Taps, default_taps, with_preactivations
from distill.types import Batch


def pictures(side: int = 8) -> Batch:
    random = torch.Generator().manual_seed(9)
    return Batch(torch.randn(4, 1, side, side, generator=random), torch.tensor([0, 3, 2, 1]), torch.arange(4))


def network(kind: str, side: int = 8) -> nn.Module:
    torch.manual_seed(len(kind))
    options = {
        "resnet8": ResnetOptions(name="resnet", depth=8, widths=[4, 4, 6, 8]),
        "resnet14": ResnetOptions(name="resnet", depth=14, widths=[4, 6, 8, 10]),
        "cnn": CnnOptions(name="cnn", channels=[3, 4], hidden=7),
        "mlp": MlpOptions(name="mlp", widths=[6, 5]),
        "linear": MlpOptions(name="mlp", widths=[]),
    }[kind]
    return create_network(options, (1, side, side), 4).eval()


def tapped(kind: str, method: Method, batch: Batch) -> Tapped:
    made = network(kind, batch.inputs.shape[-1])
    return Tapped(made, with_preactivations(made, default_taps(made), batch.inputs).only(method.taps))


@torch.no_grad()
def built(method: Method, student: str, teacher: str, batch: Batch) -> tuple[Tapped, Tapped]:
    pair = tapped(student, method, batch), tapped(teacher, method, batch)
    method.build(*pair, batch, batch.labels)
    return pair


METHODS = ("ofd", "vid", "reviewkd", "wkd_f", "layerwise")


@pytest.mark.parametrize("side", [3, 8, 33])
@pytest.mark.parametrize(("student", "teacher"), [("resnet8", "resnet14"), ("cnn", "resnet14"), ("resnet8", "cnn")])
@pytest.mark.parametrize("name", METHODS)
def test_maps_of_any_size_teach_each_other(name, student, teacher, side):
    method, batch = create(name), pictures(side)
    own, other = built(method, student, teacher, batch)
    losses = method(own(batch.inputs), other(batch.inputs), batch)
    torch.stack(list(losses.values())).sum().backward()
    assert all(loss.isfinite() for loss in losses.values())
    for path, parameter in method.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path


@pytest.mark.parametrize("name", ["ofd", "reviewkd", "wkd_f"])
def test_networks_without_maps_are_refused(name):
    with pytest.raises(ConfigError, match=f"method={name} needs feature maps, and the student has none"):
        built(create(name), "mlp", "resnet14", pictures())


@pytest.mark.parametrize("name", ["vid", "layerwise"])
def test_vectors_are_compared_by_linear_layers(name):
    method, batch = create(name), pictures()
    own, other = built(method, "mlp", "resnet14", batch)
    assert not any(isinstance(module, nn.Conv2d) for module in method.modules())
    assert all(loss.isfinite() for loss in method(own(batch.inputs), other(batch.inputs), batch).values())
    with pytest.raises(ConfigError, match=f"method={name} needs a hidden layer, and the student has none"):
        built(create(name), "linear", "resnet14", batch)


def test_the_batch_norm_before_an_activation_is_found():
    teacher = tapped("resnet14", create("ofd"), pictures())
    assert norms_before(teacher, pictures()) == [
        teacher.network.get_submodule(f"layer{stage}.1.bn2") for stage in (1, 2, 3)
    ]
    # One block per stage: what a shortcut adds has a batch norm of its own.
    teacher = tapped("resnet8", create("ofd"), pictures())
    assert norms_before(teacher, pictures()) == [
        teacher.network.get_submodule(f"layer{stage}.0.bn2") for stage in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("activation", "taps"),
    [
        (nn.ReLU(inplace=True), Taps(preactivations=("1",))),
        (nn.Identity(), Taps(features=("0",), preactivations=(None,))),
    ],
    ids=["named", "the map itself"],
)
def test_a_batch_norm_is_found_where_the_shortcut_is_added_in_place(activation, taps):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3)
            self.shortcut = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3))

        def forward(self, inputs: Tensor) -> Tensor:
            answer = self.norm(self.convolution(inputs))
            answer += self.shortcut(inputs)
            return answer

    made = nn.Sequential(Block(), activation, nn.Flatten(), nn.Linear(192, 4)).eval()
    with Tapped(made, taps) as teacher:
        assert norms_before(teacher, pictures()) == [made.get_submodule("0.norm")]


def test_margins_are_those_of_the_teachers_batch_norm_and_stand_in_the_checkpoint():
    method = create("ofd")
    teacher = built(method, "cnn", "resnet14", pictures())[1].network
    with torch.no_grad():
        for number, stage in enumerate((2, 3)):
            bias, weight = (teacher.get_parameter(f"layer{stage}.1.bn2.{name}") for name in ("bias", "weight"))
            expected = gaussian_margin(bias, weight)
            assert torch.equal(method.state_dict()[f"stages.{number}.margin"], expected)


def test_a_teacher_without_batch_norm_has_the_margin_of_the_batch():
    method, batch = create("ofd", hard_weight=0.0, weight=1.0), pictures()
    own, other = built(method, "resnet8", "cnn", batch)
    assert not any("margin" in name for name in method.state_dict())
    taught = other(batch.inputs)
    assert all((value < 0).any() for value in taught.preactivations)
    assert method(own(batch.inputs), taught, batch)["ofd"] > 0


def test_deeper_stages_count_twice_as_much():
    method, batch = create("ofd", hard_weight=0.0, weight=1.0), pictures()
    own, other = (one(batch.inputs) for one in built(method, "resnet8", "resnet14", batch))
    method.eval()
    stages = zip(method.get_submodule("stages").children(), own.preactivations, other.preactivations, strict=True)
    first, second, third = (stage(mine, theirs) for stage, mine, theirs in stages)
    expected = first / 4 + second / 2 + third
    torch.testing.assert_close(method(own, other, batch)["ofd"], expected)


def test_the_weight_of_the_wasserstein_distance_falls_to_zero_in_the_last_epochs():
    method, batch = create("wkd_f", hard_weight=0.0), pictures()
    own, other = (one(batch.inputs) for one in built(method, "resnet8", "resnet14", batch))
    method.eval()
    losses = []
    for epoch in range(240):
        method.start_epoch(epoch, 240)
        losses.append(method(own, other, batch)["wkd_f"].item())
    assert losses[:150] == [losses[0]] * 150
    assert losses[194] == pytest.approx(losses[0] / 2, rel=1e-4)
    assert losses[239] == 0  # epochs of the authors' code count from 1
    assert losses[149:] == sorted(losses[149:], reverse=True)
    assert method.changes
    assert not create("wkd_f", decay_from=1.0).changes


def test_a_review_warms_up_over_a_twelfth_of_the_epochs():
    method = create("reviewkd")
    for epoch, ramp in ((0, 0.05), (9, 0.5), (20, 1.0), (239, 1.0)):
        method.start_epoch(epoch, 240)
        assert method.ramp == pytest.approx(ramp, rel=1e-3)


def test_the_deepest_level_of_a_review_is_the_embedding():
    method, batch = create("reviewkd"), pictures()
    built(method, "cnn", "resnet14", batch)
    shapes = {name: tuple(value.shape) for name, value in method.named_parameters() if value.ndim == 4}
    # Two stages of three, and 7 hidden units beside 10 channels; the deepest has nothing to attend to.
    assert [shapes[f"fusions.{level}.enter.0.weight"] for level in range(3)] == [
        (7, 3, 1, 1),
        (7, 4, 1, 1),
        (7, 7, 1, 1),
    ]
    assert [shapes[f"fusions.{level}.leave.0.weight"][0] for level in range(3)] == [8, 10, 10]
    assert [name for name in shapes if "attention" in name] == [
        f"fusions.{level}.attention.0.weight" for level in (0, 1)
    ]


@pytest.mark.parametrize("weights", ["softmax", "uncertainty"])
@pytest.mark.parametrize("loss", ["mse", "cosine", "at", "nst", "sp"])
def test_weights_of_layers_are_learnt_with_any_loss(loss, weights):
    method, batch = create("layerwise", loss=loss, weights=weights), pictures()
    own, other = built(method, "resnet8", "resnet14", batch)
    losses = method(own(batch.inputs), other(batch.inputs), batch)
    assert list(losses) == ["layer_1", "layer_2", "layer_3", "hard"]
    torch.stack(list(losses.values())).sum().backward()
    gradient = method.get_parameter("balance").grad
    assert gradient is not None
    assert gradient.any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layers": []}, "layers=[] is not allowed: name each layer once, such as [1,2], or null for all."),
        ({"layers": [1, 1]}, "layers=[1, 1] is not allowed: name each layer once, such as [1,2], or null for all."),
        ({"layers": [1, 2], "layer_weights": [1.0]}, "layer_weights=[1.0] is not allowed: there are 2 layers."),
        (
            {"weights": "softmax", "layer_weights": [1.0]},
            "layer_weights=[1.0] is not allowed with weights=softmax, which learns them: give weights=fixed.",
        ),
    ],
)
def test_layers_that_cannot_be_weighed_are_refused(options, sentence):
    with pytest.raises(ConfigError) as caught:
        create("layerwise", **options)
    assert caught.value.problems == (sentence,)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layers": [3]}, "method.layers=[3] is not allowed: student and teacher have 2 pairs of layers."),
        ({"layer_weights": [1.0]}, "method.layer_weights=[1.0] is not allowed: there are 2 layers."),
    ],
)
def test_layers_that_networks_do_not_have_are_refused(options, sentence):
    with pytest.raises(ConfigError) as caught:
        built(create("layerwise", **options), "cnn", "resnet14", pictures())
    assert caught.value.problems == (sentence,)


def test_attention_at_layers_is_refused_for_vectors():
    with pytest.raises(ConfigError, match="method=layerwise needs feature maps, and the student has none"):
        built(create("layerwise", loss="at"), "mlp", "resnet14", pictures())


def test_a_student_is_trained_up_to_its_last_map_where_the_classifier_reads_its_mean():
    student, teacher, batch = network("cnn"), network("resnet14"), pictures()
    with torch.no_grad():
        made, taps = create("simkd").redesign(student, default_taps(student), teacher, default_taps(teacher), batch)
    assert taps == Taps(("projector",), "head")
    kept = {name.removeprefix("trunk.").partition(".")[0] for name in made.state_dict() if name.startswith("trunk.")}
    assert kept == {"stages"}  # neither its hidden layer nor its classifier
    shapes = [tuple(value.shape) for name, value in made.named_parameters() if value.ndim > 1 and "trunk" not in name]
    assert shapes == [(5, 4, 1, 1), (5, 5, 3, 3), (10, 5, 1, 1), (4, 10)]
    head = made.get_parameter("head.weight")
    assert not head.requires_grad
    assert torch.equal(head, teacher.get_parameter("fc.weight"))


def test_embeddings_are_projected_where_the_classifier_reads_a_hidden_layer():
    student, teacher, batch = network("resnet8"), network("cnn"), pictures()
    with torch.no_grad():
        made, _ = create("simkd").redesign(student, default_taps(student), teacher, default_taps(teacher), batch)
    assert not any(name.startswith("trunk.fc") for name in made.state_dict())
    shapes = [tuple(value.shape) for name, value in made.named_parameters() if value.ndim > 1 and "trunk" not in name]
    assert shapes == [(3, 8), (3, 3), (7, 3), (4, 7)]


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.one, self.two = nn.Linear(64, 6), nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        embedding = self.trunk(inputs.flatten(1))
        return (self.one(embedding) + self.two(embedding)) / 2


def test_all_classifiers_of_a_student_are_taken_out():
    teacher = network("cnn")
    with torch.no_grad():
        made, _ = create("simkd").redesign(
            TwoHeads().eval(), Taps(embedding="one"), teacher, default_taps(teacher), pictures()
        )
    assert [name for name in made.state_dict() if name.startswith("trunk.")] == [
        "trunk.trunk.weight",
        "trunk.trunk.bias",
    ]


def test_a_teacher_that_does_not_answer_through_one_classifier_is_refused():
    student, teacher = network("cnn"), TwoHeads().eval()
    taps = Taps(embedding="one")
    with torch.no_grad(), pytest.raises(ConfigError, match="method=simkd reuses the teacher's classifier"):
        create("simkd").redesign(student, default_taps(student), teacher, taps, pictures())


def test_a_student_that_does_not_run_without_its_end_is_refused():
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage, self.end = nn.Conv2d(1, 3, 3), nn.Linear(108, 4)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.end(self.stage(inputs).flatten(1)).unflatten(1, (2, 2)).flatten(1)

    student, teacher = Picky().eval(), network("resnet14")
    with torch.no_grad(), pytest.raises(ConfigError, match="trains the student up to stage alone"):
        create("simkd").redesign(student, Taps(("stage",), "end"), teacher, default_taps(teacher), pictures())


def test_two_copies_of_a_redesigned_network_do_not_read_each_other():
    student, teacher, batch = network("resnet8"), network("resnet14"), pictures()
    with torch.no_grad():
        made, _ = create("simkd").redesign(student, default_taps(student), teacher, default_taps(teacher), batch)
        twin = copy.deepcopy(made)
        before = made(batch.inputs)
        for parameter in made.parameters():
            parameter.zero_()
        assert torch.equal(twin(batch.inputs), before)
        assert not made(batch.inputs).any()
