"""The networks have the sizes their papers give, and take every shape they promise to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from distill.config.model_options import ModelOptions
from distill.config.options import read
from distill.config.registry import defaults
from distill.errors import CheckpointError, ConfigError
from distill.models import create, models
from distill.models.count import flops, parameters, size_bytes

PRESETS = Path(__file__).parents[2] / "conf" / "model"


def options(values: dict[str, Any]) -> ModelOptions:
    found, problems = read(models.find(values["name"]).options, values)
    assert isinstance(found, ModelOptions), problems
    return found


def preset(name: str) -> ModelOptions:
    return options(yaml.safe_load((PRESETS / f"{name}.yaml").read_text()))


def problems(**values: Any) -> list[str]:
    return read(models.find(values["name"]).options, values)[1]


@pytest.mark.parametrize(
    ("name", "shape", "classes", "count", "label"),
    [
        ("mlp_1200", (1, 28, 28), 10, 2_395_210, "mlp-1200-1200"),
        ("mlp_800", (1, 28, 28), 10, 1_276_810, "mlp-800-800"),
        ("mlp_400", (784,), 10, 318_010, "mlp-400"),
        ("mlp_256_256_128", (50,), 5, 112_389, "mlp-256-256-128"),
        ("mlp_64", (50,), 5, 3_589, "mlp-64"),
        ("mlp_32", (64,), 10, 64 * 32 + 32 + 32 * 10 + 10, "mlp-32"),
        ("mlp_30", (64,), 10, 64 * 30 + 30 + 30 * 30 + 30 + 30 * 10 + 10, "mlp-30-30"),
        ("cnn_teacher", (1, 28, 28), 10, 1_554_954, "cnn-64-128-256"),
        ("cnn_student", (1, 28, 28), 10, 105_866, "cnn-16-32"),
        ("tv_resnet18", (3, 64, 64), 1000, 11_689_512, "resnet18"),
        ("tv_mobilenet_v2", (3, 64, 64), 1000, 3_504_872, "mobilenet_v2"),
    ],
)
def test_presets_have_the_published_number_of_parameters(
    name: str, shape: tuple[int, ...], classes: int, count: int, label: str
):
    chosen = preset(name)
    assert parameters(create(chosen, shape, classes)) == count
    assert chosen.label() == label


def resnet_parameters(depth: int, widths: list[int], channels: int, classes: int) -> int:
    stem, *stages = widths
    total = 9 * channels * stem + 2 * stem
    inputs = stem
    for stage, width in enumerate(stages):
        for _ in range((depth - 2) // 6):
            total += 9 * inputs * width + 9 * width * width + 4 * width
        # Blocks behind the first one read the stage's own width.
        total -= ((depth - 2) // 6 - 1) * 9 * (inputs - width) * width
        if stage > 0 or inputs != width:
            total += inputs * width + 2 * width
        inputs = width
    return total + inputs * classes + classes


@pytest.mark.parametrize(
    ("name", "depth", "wide", "published"),
    [
        ("resnet8", 8, False, None),
        ("resnet14", 14, False, None),
        ("resnet20", 20, False, 278_324),
        ("resnet32", 32, False, 472_756),
        ("resnet44", 44, False, 667_188),
        ("resnet56", 56, False, 861_620),
        ("resnet110", 110, False, None),
        ("resnet8x4", 8, True, 1_233_540),
        ("resnet32x4", 32, True, 7_433_860),
    ],
)
def test_resnets_are_those_of_the_cifar_100_benchmark(name: str, depth: int, wide: bool, published: int | None):
    chosen = preset(name)
    count = parameters(create(chosen, (3, 32, 32), 100))
    assert count == resnet_parameters(depth, [32, 64, 128, 256] if wide else [16, 16, 32, 64], 3, 100)
    assert published is None or count == published
    assert chosen.label() == name


def test_resnets_carry_the_names_of_the_benchmarks_checkpoints():
    names = create(preset("resnet8x4"), (3, 32, 32), 100).state_dict()
    expected = {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.bias",
    }
    assert expected | {"layer3.0.conv2.weight", "layer3.0.bn2.weight", "fc.weight", "fc.bias"} <= set(names)
    assert "layer1.0.downsample.0.weight" not in create(preset("resnet20"), (3, 32, 32), 100).state_dict()


def test_resnets_start_from_kaiming_fan_out():
    torch.manual_seed(0)
    network = create(preset("resnet20"), (3, 32, 32), 10)
    weight = network.get_submodule("layer3.1.conv1").weight
    assert isinstance(weight, torch.Tensor)
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", ["mlp_32", "cnn_student", "resnet8"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 64, 48)])
def test_pictures_of_any_size_become_logits(name: str, shape: tuple[int, ...]):
    network = create(preset(name), shape, 7)
    assert network(torch.randn(2, *shape)).shape == (2, 7)


def test_a_cnn_stops_pooling_when_a_side_is_one_pixel():
    network = create(options({"name": "cnn", "channels": [4] * 5}), (1, 8, 8), 3)
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 3)
    assert sum(isinstance(module, nn.MaxPool2d) for module in network.modules()) == 3


def test_the_cnn_teacher_takes_imagenet_sized_pictures():
    with torch.device("meta"):
        network = create(preset("cnn_teacher"), (3, 224, 224), 10)
        assert network(torch.empty(2, 3, 224, 224)).shape == (2, 10)


@pytest.mark.parametrize("name", ["cnn_student", "resnet20", "tv_resnet18"])
def test_a_convolutional_network_refuses_vectors_in_one_sentence(name: str):
    with pytest.raises(ConfigError, match=r"takes pictures .* vectors of 50 numbers; choose .* mlp\.$"):
        create(preset(name), (50,), 5)


def test_an_mlp_without_hidden_layers_is_a_linear_classifier():
    assert parameters(create(options({"name": "mlp", "widths": []}), (8, 8), 10)) == 650


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "resnet", "depth": 21}, "depth=21 is not allowed: it must be 6n+2"),
        ({"name": "resnet", "widths": [16, 32, 64]}, "widths=[16, 32, 64] is not allowed: it must hold 4"),
        ({"name": "cnn", "kernel": 2}, "kernel=2 is not allowed: it must be odd"),
        ({"name": "cnn", "channels": []}, "channels=[] is not allowed"),
        ({"name": "mlp", "dropout": 1.0}, "dropout=1.0 is not allowed"),
        ({"name": "mlp", "widths": [0]}, "widths.0=0 is not allowed"),
        ({"name": "mlp", "activation": "swish"}, "activation=swish is not allowed"),
        ({"name": "torchvision", "architecture": "resnet5O"}, "(did you mean 'resnet50'?)"),
        (
            {"name": "torchvision", "weights": "V9"},
            "for resnet18 it must be null or DEFAULT or IMAGENET1K_V1.",
        ),
    ],
)
def test_values_out_of_range_are_told_by_key(values: dict[str, Any], sentence: str):
    assert any(sentence in problem for problem in problems(**values)), problems(**values)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_lists_every_key_of_its_network_with_a_description(path: Path):
    text = path.read_text()
    values = yaml.safe_load(text)
    assert text.startswith("# ")
    own = defaults(models.find(values["name"]).options)
    assert set(values) == {"name"} | set(own) - set(defaults(ModelOptions))


@pytest.mark.parametrize("name", ["mlp", "torchvision", "timm", "import", "vit", "deit", "mobilenetv2"])
def test_a_networks_plain_preset_holds_the_defaults_of_its_options(name: str):
    values = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
    own = defaults(models.find(name).options)
    assert values == {**{key: own[key] for key in values}, "name": name}


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2", "squeezenet1_1"])
def test_torchvision_networks_fit_grey_pictures_and_any_number_of_classes(architecture: str):
    chosen = options({"name": "torchvision", "architecture": architecture, "small_images": True})
    network = create(chosen, (1, 32, 32), 7)
    assert network(torch.randn(2, 1, 32, 32)).shape == (2, 7)
    assert network.training


def test_small_images_keep_the_resolution_of_a_resnet_stem():
    chosen = options({"name": "torchvision", "architecture": "resnet18", "small_images": True})
    network = create(chosen, (3, 32, 32), 10)
    stem = network.get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    assert (stem.kernel_size, stem.stride, stem.padding) == ((3, 3), (1, 1), (1, 1))
    assert isinstance(network.get_submodule("maxpool"), nn.Identity)


def test_a_patch_stem_cannot_be_made_small():
    with pytest.raises(ConfigError, match=r"small_images=true is not allowed for alexnet: .* stride 4"):
        create(options({"name": "torchvision", "architecture": "alexnet", "small_images": True}), (3, 32, 32), 2)


def test_pictures_too_small_for_a_torchvision_network_are_refused():
    with pytest.raises(ConfigError, match=r"^The model squeezenet1_1 cannot take pictures of 3x4x4 \(.*\.$"):
        create(options({"name": "torchvision", "architecture": "squeezenet1_1"}), (3, 4, 4), 2)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights of squeezenet1_1 where torch.hub keeps what it has downloaded."""
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    weights = squeezenet1_1().state_dict()
    torch.save(weights, folder / SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[-1])
    return weights


def pretrained(channels: int, classes: int) -> dict[str, torch.Tensor]:
    chosen = options({"name": "torchvision", "architecture": "squeezenet1_1", "weights": "DEFAULT"})
    return create(chosen, (channels, 64, 64), classes).state_dict()


def test_published_weights_are_kept_where_the_classes_and_channels_agree(published: dict[str, torch.Tensor]):
    torch.testing.assert_close(pretrained(3, 1000), published)


def test_published_weights_see_a_grey_picture_as_three_equal_colours(published: dict[str, torch.Tensor]):
    fitted = pretrained(1, 5)
    assert fitted["classifier.1.weight"].shape == (5, 512, 1, 1)
    torch.testing.assert_close(fitted["features.3.squeeze.weight"], published["features.3.squeeze.weight"])
    grey = torch.randn(2, 1, 16, 16)
    by_colour = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), published["features.0.weight"])
    torch.testing.assert_close(nn.functional.conv2d(grey, fitted["features.0.weight"]), by_colour)


def test_a_download_that_fails_says_which_file_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*args: Any, **kwargs: Any):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(CheckpointError) as caught:
        pretrained(3, 5)
    sentence = str(caught.value)
    assert "no route to host" in sentence
    assert "squeezenet1_1-b8a52dc0.pth from https://" in sentence
    assert str(tmp_path / "hub" / "checkpoints") in sentence


def test_flops_count_two_per_multiply_accumulate():
    mlp = create(options({"name": "mlp", "widths": [30, 20]}), (64,), 10)
    assert flops(mlp, (64,)) == 2 * (64 * 30 + 30 * 20 + 20 * 10)
    cnn = create(options({"name": "cnn", "channels": [4], "hidden": 5}), (3, 8, 8), 2)
    assert flops(cnn, (3, 8, 8)) == 2 * (8 * 8 * 9 * 3 * 4 + 4 * 4 * 4 * 5 + 5 * 2)


def test_counting_flops_leaves_every_module_in_its_mode():
    network = create(preset("resnet8"), (3, 8, 8), 2)
    frozen = network.get_submodule("bn1").eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    flops(network, (3, 8, 8))
    assert network.training
    assert not frozen.training
    torch.testing.assert_close(network.state_dict(), before)


def test_size_counts_the_bytes_of_parameters_and_buffers():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    assert size_bytes(network) == 4 * (3 * 2 + 2) + 4 * (2 + 2 + 2 + 2) + 8
