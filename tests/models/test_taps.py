"""Any network can be read by module path, and is left as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.errors import ConfigError
from distill.models import create
from distill.models.networks.cnn import CnnOptions
from distill.models.networks.mlp import MlpOptions
from distill.models.networks.resnet import ResnetOptions
from distill.models.taps import Tapped, Taps, default_taps, resolve, with_preactivations


class Residual(nn.Module):
    """Overwrites the output of `norm` in place, as torchvision's ResNets do."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.unused = nn.Linear(4, 4)
        self.pair = nn.LSTM(4, 4, batch_first=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        normed = self.norm(inputs)
        normed += inputs
        return self.fc(self.pair(normed[:, None])[0][:, 0])


def foreign() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.ReLU())


@pytest.mark.parametrize(
    ("options", "shape", "features", "width"),
    [
        (MlpOptions(name="mlp", widths=[7, 5]), (6,), [(2, 7), (2, 5)], 5),
        (MlpOptions(name="mlp", widths=[]), (2, 3), [], 6),
        (CnnOptions(name="cnn", channels=[4, 6], hidden=9), (1, 8, 8), [(2, 4, 4, 4), (2, 6, 2, 2)], 9),
        (
            ResnetOptions(name="resnet", depth=8),
            (3, 32, 32),
            [(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8)],
            64,
        ),
    ],
)
def test_our_networks_declare_their_stages_and_their_embedding(
    options: ModelOptions, shape: tuple[int, ...], features: list[tuple[int, ...]], width: int
):
    network = create(options, shape, 3)
    taps = resolve(network, options)
    with Tapped(network, taps.only(["features", "embedding"])) as tapped:
        output = tapped(torch.randn(2, *shape))
    assert [tuple(one.shape) for one in output.features] == features
    assert output.embedding is not None
    assert output.embedding.shape == (2, width)
    assert output.logits.shape == (2, 3)


def test_features_are_the_outputs_and_the_embedding_the_classifiers_input():
    network, inputs = foreign(), torch.randn(2, 6)
    output = Tapped(network, Taps(("1", "3"), "4"))(inputs)
    first = torch.tanh(network[0](inputs))
    second = torch.tanh(network[2](first))
    torch.testing.assert_close(output.features, (first, second))
    torch.testing.assert_close(output.embedding, second)
    torch.testing.assert_close(output.logits, network[4](second))


def test_gradients_flow_through_what_was_read():
    network = foreign()
    Tapped(network, Taps(("1",)))(torch.randn(2, 6)).features[0].sum().backward()
    assert network[0].weight.grad is not None
    assert network[2].weight.grad is None


def test_an_embedding_of_more_dimensions_is_flattened():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 4), nn.Flatten())
    embedding = Tapped(network, Taps(embedding="1"))(torch.randn(2, 1, 6, 6)).embedding
    assert embedding is not None
    assert embedding.shape == (2, 32)


def hooks(network: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in network.modules())


def test_hooks_are_set_only_for_what_is_asked_and_gone_when_closed():
    network = foreign()
    names = list(network.state_dict())
    plain = Tapped(network)
    assert hooks(network) == 0
    assert plain(torch.randn(2, 6)).embedding is None
    with Tapped(network, Taps(("1", "3"), "4")):
        assert hooks(network) == 3
        assert list(network.state_dict()) == names
    assert hooks(network) == 0


def test_a_copy_of_a_tapped_network_does_not_disturb_the_readings():
    network, inputs = foreign(), torch.randn(2, 6)
    tapped = Tapped(network, Taps(("1",)))
    other = copy.deepcopy(network)
    expected = tapped(inputs).features[0]
    other(torch.zeros(2, 6))
    torch.testing.assert_close(tapped(inputs).features[0], expected)


def test_a_wrapped_call_is_used_in_place_of_the_network():
    network = foreign()
    output = Tapped(network, Taps(("1",)), call=lambda inputs: network(inputs) * 2)(torch.ones(2, 6))
    torch.testing.assert_close(output.logits, network(torch.ones(2, 6)) * 2)
    assert len(output.features) == 1


def test_readings_work_in_inference_mode():
    with torch.inference_mode():
        assert Tapped(foreign(), Taps(("1",), "4"))(torch.ones(2, 6)).features[0].shape == (2, 5)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ("norm", "features=norm cannot be read: a later module overwrites it in place"),
        ("unused", "features=unused cannot be read: the network's forward pass does not run it"),
        ("pair", "features=pair cannot be read: it is tuple and not one tensor"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(features: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        Tapped(Residual(), Taps((features,)))(torch.randn(2, 4))


def test_logits_that_are_not_one_tensor_are_told_in_a_sentence():
    with pytest.raises(ConfigError, match="gives tuple instead of one tensor of logits"):
        Tapped(nn.LSTM(4, 4))(torch.randn(2, 1, 4))


def test_options_override_the_networks_own_taps():
    options = MlpOptions(name="mlp", widths=[7, 5], features=["hidden.1"], embedding="hidden.1")
    assert resolve(create(options, (6,), 3), options) == Taps(("hidden.1",), "hidden.1")


def test_an_unknown_path_is_told_with_its_key_and_the_nearest_paths():
    options = MlpOptions(name="mlp", widths=[7], features=["hiden.0"], embedding="klassifier")
    with pytest.raises(ConfigError) as caught:
        resolve(create(options, (6,), 3), options)
    features, embedding = caught.value.problems
    assert features.startswith("features=hiden.0 is not allowed")
    assert "hidden.0" in features
    assert embedding.startswith("embedding=klassifier is not allowed")
    assert "classifier" in embedding.split("nearest are")[1]


def staged() -> nn.Module:
    """A stem, and stages of which the second and the fourth reduce; a head of two layers."""
    body = nn.Sequential(convolution(1, 2), convolution(2, 2, 2), convolution(2, 2), convolution(2, 3, 2))
    head = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))
    return nn.Sequential(body, head)


def transformer() -> nn.Module:
    layers = [nn.TransformerEncoderLayer(4, 1, 8, batch_first=True) for _ in range(3)]
    return nn.Sequential(nn.Linear(6, 4), nn.Sequential(*layers), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("network", "taps"),
    [
        (staged, Taps(("0.0", "0.2", "0.3"), "1.3")),
        (foreign, Taps(("0", "2"), "4")),
        (lambda: nn.Sequential(staged()), Taps(("0.0.0", "0.0.2", "0.0.3"), "0.1.3")),
        (transformer, Taps(("1.0", "1.1", "1.2"), "2")),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), Taps((), "1")),
        (
            lambda: nn.Sequential(convolution(1, 2), convolution(2, 2, 2), nn.Conv2d(2, 3, 1)),
            Taps(("0", "1"), None),
        ),
    ],
)
def test_a_foreign_network_is_read_before_each_reduction(network: Callable[[], nn.Module], taps: Taps):
    assert default_taps(network()) == taps


@pytest.mark.parametrize(
    ("architecture", "taps"),
    [
        ("resnet18", Taps(("layer1", "layer2", "layer3", "layer4"), "fc")),
        ("mobilenet_v2", Taps(tuple(f"features.{stage}" for stage in (1, 3, 6, 13, 18)), "classifier.1")),
    ],
)
def test_torchvision_networks_are_read_where_the_field_reads_them(architecture: str, taps: Taps):
    import torchvision.models as zoo

    with torch.device("meta"):
        assert default_taps(zoo.get_model(architecture)) == taps


def test_maps_that_come_with_their_channels_last_are_read_like_all_others():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Identity(), nn.Flatten())
    with Tapped(network, Taps(("1",), preactivations=("1",), channels_last=True)) as tapped:
        inputs = torch.randn(2, 1, 3, 4)
        output = tapped(inputs)
    expected = network[0](inputs).permute(0, 3, 1, 2)
    torch.testing.assert_close(output.features[0], expected)
    torch.testing.assert_close(output.preactivations[0], expected)
    assert Taps(("1",), channels_last=True).only(["features"]).channels_last


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (MlpOptions(name="mlp", widths=[7, 5]), (6,)),
        (CnnOptions(name="cnn", channels=[4, 6, 5, 4]), (1, 8, 8)),
        (ResnetOptions(name="resnet", depth=14), (3, 8, 8)),
    ],
)
def test_our_networks_declare_what_their_maps_are_before_the_activation(options: ModelOptions, shape: tuple[int, ...]):
    torch.manual_seed(0)
    network = create(options, shape, 3)
    output = Tapped(network, resolve(network, options))(torch.randn(4, *shape))
    assert len(output.preactivations) == len(output.features)
    for feature, before in zip(output.features, output.preactivations, strict=True):
        assert before.min() < 0
        torch.testing.assert_close(feature, before.relu())


def test_a_cnn_may_rectify_behind_the_pooling():
    """Value and gradient are those of the usual order, pooling behind the ReLU."""
    torch.manual_seed(0)
    network = create(CnnOptions(name="cnn", channels=[4]), (1, 8, 8), 3)
    convolution, pool, relu = (network.get_submodule(f"stages.0.{number}") for number in range(3))
    inputs = torch.randn(4, 1, 8, 8)
    weight = convolution.weight
    assert isinstance(weight, Tensor)
    ours, usual = relu(pool(convolution(inputs))), pool(relu(convolution(inputs)))
    assert torch.equal(ours, usual)
    gradients = [torch.autograd.grad(answer.square().sum(), weight)[0] for answer in (ours, usual)]
    torch.testing.assert_close(*gradients)


class Blocks(nn.Module):
    """A block that begins as the identity, one that adds in place, and one without activation at its end."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
        self.second = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
        self.third = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.fourth = nn.Linear(4, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        second = self.second(self.first(inputs).clone())
        third = self.third(second)
        third += second
        return self.fc(self.fourth(third))


def test_activations_are_found_by_what_comes_out_of_them():
    torch.manual_seed(0)
    network = Blocks().eval()
    taps = with_preactivations(network, Taps(("first", "second", "third.1", "fourth")), torch.randn(5, 4))
    assert taps.preactivations == ("first.1", "second.1", "third.1", None)
    assert hooks(network) == 0
    known = Taps(("first",), preactivations=(None,))
    assert with_preactivations(network, known, torch.randn(5, 4)) is known


class Added(nn.Module):
    """An activation to whose output something is added in place."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        active = self.relu(inputs)
        active += 1
        return active


def test_what_is_added_to_in_place_is_no_longer_the_activations():
    network = nn.Sequential(Added(), nn.Linear(4, 3)).eval()
    assert with_preactivations(network, Taps(("0",)), torch.randn(5, 4)).preactivations == (None,)


def vgg() -> nn.Module:
    from torchvision.models.vgg import make_layers

    layers = make_layers([4, "M", 6, 6, "M"], batch_norm=True)
    return nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


def torchvision(architecture: str) -> nn.Module:
    import torchvision.models as zoo

    return zoo.get_model(architecture, num_classes=3)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: torchvision("resnet18"), tuple(f"layer{stage}.1.relu" for stage in (1, 2, 3, 4))),
        (lambda: torchvision("mobilenet_v2"), (None, None, None, None, "features.18.2")),
        (vgg, ("0.2", "0.9")),
    ],
)
def test_torchvision_networks_are_read_before_their_activations_though_these_work_in_place(
    network: Callable[[], nn.Module], expected: tuple[str | None, ...]
):
    torch.manual_seed(0)
    built, inputs = network().eval(), torch.randn(2, 3, 32, 32)
    taps = with_preactivations(built, default_taps(built), inputs)
    assert taps.preactivations == expected
    output = Tapped(built, taps)(inputs)
    for feature, before, path in zip(output.features, output.preactivations, expected, strict=True):
        assert before.min() < 0
        same = feature if path is None else before.clamp(0, 6 if "features" in path else None)
        torch.testing.assert_close(feature, same)


def test_named_preactivations_must_be_as_many_as_the_maps():
    options = MlpOptions(name="mlp", widths=[7, 5], features=["hidden.1"], preactivations=["hidden.0.1", "hidden.1.1"])
    with pytest.raises(ConfigError, match=r"^preactivations=.* is not allowed: there are 1 feature maps \(hidden.1\)"):
        resolve(create(options, (6,), 3), options)
    named = MlpOptions(name="mlp", widths=[7, 5], features=["hidden.1"], preactivations=["hidden.1.1"])
    assert resolve(create(named, (6,), 3), named).preactivations == ("hidden.1.1",)
    # Those that the network declares belong to the maps that it declares.
    fewer = MlpOptions(name="mlp", widths=[7, 5], features=["hidden.1"])
    assert resolve(create(fewer, (6,), 3), fewer).preactivations == ()
