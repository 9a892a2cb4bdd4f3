"""The networks of the CIFAR-100 distillation benchmark are those that its papers and checkpoints speak of."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import read
from distill.models import create, models
from distill.models.count import parameters
from distill.models.taps import Tapped, resolve
from distill.training.layout import arrange

PRESETS = Path(__file__).parents[2] / "conf" / "model"
CPU = torch.device("cpu")

# Parameters with 100 classes, as counted in RepDistiller's own networks; the feature maps, channels and side, which it
# hands to its methods for pictures of 32 pixels.
PUBLISHED: dict[str, tuple[int, list[tuple[int, int]]]] = {
    "resnet8": (83_892, [(16, 32), (32, 16), (64, 8)]),
    "resnet14": (181_108, [(16, 32), (32, 16), (64, 8)]),
    "resnet20": (278_324, [(16, 32), (32, 16), (64, 8)]),
    "resnet32": (472_756, [(16, 32), (32, 16), (64, 8)]),
    "resnet44": (667_188, [(16, 32), (32, 16), (64, 8)]),
    "resnet56": (861_620, [(16, 32), (32, 16), (64, 8)]),
    "resnet110": (1_736_564, [(16, 32), (32, 16), (64, 8)]),
    "resnet8x4": (1_233_540, [(64, 32), (128, 16), (256, 8)]),
    "resnet32x4": (7_433_860, [(64, 32), (128, 16), (256, 8)]),
    "wrn_16_1": (180_916, [(16, 32), (32, 16), (64, 8)]),
    "wrn_16_2": (703_284, [(32, 32), (64, 16), (128, 8)]),
    "wrn_40_1": (569_780, [(16, 32), (32, 16), (64, 8)]),
    "wrn_40_2": (2_255_156, [(32, 32), (64, 16), (128, 8)]),
    "vgg8": (3_965_028, [(128, 16), (256, 8), (512, 4), (512, 4)]),
    "vgg11": (9_277_284, [(128, 16), (256, 8), (512, 4), (512, 4)]),
    "vgg13": (9_462_180, [(128, 16), (256, 8), (512, 4), (512, 4)]),
    "vgg16": (14_774_436, [(128, 16), (256, 8), (512, 4), (512, 4)]),
    "vgg19": (20_086_692, [(128, 16), (256, 8), (512, 4), (512, 4)]),
    "mobilenetv2": (812_836, [(12, 16), (16, 8), (48, 4), (160, 2)]),
    "shufflenetv1": (949_258, [(240, 16), (480, 8), (960, 4)]),
    "shufflenetv2": (1_355_528, [(116, 16), (232, 8), (464, 4)]),
    "resnet18": (11_220_132, [(64, 32), (128, 16), (256, 8), (512, 4)]),
    "resnet50": (23_705_252, [(256, 32), (512, 16), (1024, 8), (2048, 4)]),
}
# One of each family, the smallest.
FAMILIES = ["resnet8", "wrn_16_1", "vgg8", "mobilenetv2", "shufflenetv1", "shufflenetv2", "resnet18"]


def options(values: dict[str, Any]) -> ModelOptions:
    found, problems = read(models.find(values["name"]).options, values)
    assert isinstance(found, ModelOptions), problems
    return found


def preset(name: str) -> ModelOptions:
    return options(yaml.safe_load((PRESETS / f"{name}.yaml").read_text()))


def shapes_of(name: str, shape: tuple[int, int, int], classes: int = 100) -> tuple[nn.Module, Callable[[], Any]]:
    """A network without numbers, and what it answers to two pictures without numbers."""
    with torch.device("meta"):
        network = create(preset(name), shape, classes).eval()
        return network, lambda: Tapped(network, resolve(network, preset(name)))(torch.empty(2, *shape, device="meta"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_has_the_published_size_and_is_read_where_the_benchmark_reads_it(name: str):
    count, maps = PUBLISHED[name]
    network, answer = shapes_of(name, (3, 32, 32))
    assert parameters(network) == count
    assert preset(name).label() == name
    output = answer()
    assert output.logits.shape == (2, 100)
    assert [tuple(feature.shape[1:]) for feature in output.features] == [(width, side, side) for width, side in maps]
    assert [feature.shape for feature in output.preactivations] == [feature.shape for feature in output.features]


def wrn_parameters(depth: int, widen: int, channels: int, classes: int) -> int:
    """Convolutions and batch norms, block by block."""
    widths, total = [16, 16 * widen, 32 * widen, 64 * widen], 9 * channels * 16
    for before, width in pairwise(widths):
        for inputs in [before] + [width] * ((depth - 4) // 6 - 1):
            total += 2 * inputs + 9 * inputs * width + 2 * width + 9 * width * width
            total += inputs * width if inputs != width else 0
    return total + 2 * widths[3] + widths[3] * classes + classes


def vgg_parameters(convolutions: list[int], channels: int, classes: int) -> int:
    total, inputs = 512 * classes + classes, channels
    for width, count in zip([64, 128, 256, 512, 512], convolutions, strict=True):
        for _ in range(count):
            total += 9 * inputs * width + width + 2 * width
            inputs = width
    return total


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "wrn", "depth": 16, "widen": 2}, wrn_parameters(16, 2, 1, 10)),
        ({"name": "wrn", "depth": 40, "widen": 1}, wrn_parameters(40, 1, 1, 10)),
        ({"name": "wrn", "depth": 28, "widen": 10}, wrn_parameters(28, 10, 1, 10)),
        ({"name": "vgg", "depth": 11}, vgg_parameters([1, 1, 2, 2, 2], 1, 10)),
        ({"name": "vgg", "depth": 19}, vgg_parameters([2, 2, 4, 4, 4], 1, 10)),
    ],
)
def test_sizes_follow_from_the_papers_tables(values: dict[str, Any], expected: int):
    with torch.device("meta"):
        assert parameters(create(options(values), (1, 28, 28), 10)) == expected


# Of checkpoints that the benchmark publishes: how many tensors, and some of their names and shapes.
CHECKPOINTS: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "wrn_40_2": (
        227,
        {
            "conv1.weight": (16, 3, 3, 3),
            "block1.layer.0.convShortcut.weight": (32, 16, 1, 1),
            "block2.layer.3.bn1.running_mean": (64,),
            "block3.layer.5.conv2.weight": (128, 128, 3, 3),
            "bn1.num_batches_tracked": (),
            "fc.bias": (100,),
        },
    ),
    "vgg13": (
        72,
        {
            "block0.0.bias": (64,),
            "block2.3.weight": (256, 256, 3, 3),
            "block4.4.running_var": (512,),
            "classifier.weight": (100, 512),
        },
    ),
    "resnet50": (
        320,
        {
            "layer1.0.shortcut.0.weight": (256, 64, 1, 1),
            "layer3.0.bn3.running_var": (1024,),
            "layer4.2.conv3.weight": (2048, 512, 1, 1),
            "linear.weight": (100, 2048),
        },
    ),
    "mobilenetv2": (
        320,
        {
            "conv1.0.weight": (16, 3, 3, 3),
            "blocks.0.0.conv.0.weight": (16, 16, 1, 1),
            "blocks.3.2.conv.4.running_var": (192,),
            "conv2.1.weight": (1280,),
            "classifier.0.bias": (100,),
        },
    ),
    "shufflenetv1": (
        296,
        {
            "conv1.weight": (24, 3, 1, 1),
            "layer1.0.conv3.weight": (216, 18, 1, 1),
            "layer2.3.bn3.running_var": (480,),
            "linear.bias": (100,),
        },
    ),
    "shufflenetv2": (
        338,
        {
            "layer1.0.conv5.weight": (58, 58, 1, 1),
            "layer2.3.bn3.weight": (116,),
            "conv2.weight": (1024, 464, 1, 1),
            "linear.weight": (100, 1024),
        },
    ),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_published_checkpoints_fit_by_name_and_shape(name: str):
    count, some = CHECKPOINTS[name]
    network, _ = shapes_of(name, (3, 32, 32))
    state = network.state_dict()
    assert len(state) == count
    assert {key: tuple(state[key].shape) for key in some} == some


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48), (3, 224, 224)])
def test_pictures_of_any_size_become_logits(name: str, shape: tuple[int, int, int]):
    _, answer = shapes_of(name, shape, 7)
    assert answer().logits.shape == (2, 7)


@pytest.mark.parametrize("name", FAMILIES)
def test_small_grey_pictures_reach_every_weight_in_the_layout_that_is_trained_in(name: str):
    torch.manual_seed(0)
    network = arrange(create(preset(name), (1, 8, 8), 3), (1, 8, 8), CPU)
    output = Tapped(network, resolve(network, preset(name)))(torch.randn(3, 1, 8, 8))
    output.logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    # All but the wide ResNets', which are activated behind the batch norm of the next stage.
    for feature, before in zip(output.features, output.preactivations, strict=True):
        assert name.startswith("wrn") or feature is before or torch.equal(feature, before.relu())
        assert feature is before or before.min() < 0


def test_a_wide_resnets_stage_is_activated_behind_the_next_batch_norm():
    torch.manual_seed(0)
    network = create(preset("wrn_16_1"), (1, 8, 8), 3).eval()
    output = Tapped(network, resolve(network, preset("wrn_16_1")))(torch.randn(2, 1, 8, 8))
    norms = [network.get_submodule(path) for path in ("block2.layer.0.bn1", "block3.layer.0.bn1", "bn1")]
    expected = tuple(norm(feature) for norm, feature in zip(norms, output.features, strict=True))
    torch.testing.assert_close(output.preactivations, expected)


@pytest.mark.parametrize(("side", "expected"), [(32, [16, 8, 4, 4]), (64, [32, 16, 8, 4]), (28, [14, 7, 3, 3])])
def test_vgg_pools_a_fourth_time_where_pictures_are_large(side: int, expected: list[int]):
    _, answer = shapes_of("vgg8", (3, side, side))
    assert [feature.shape[2] for feature in answer().features] == expected


def test_one_activation_over_a_shuffle_unit_is_what_its_two_halves_were_given():
    """In the paper the changed half alone is activated, and what passes by was activated before."""
    torch.manual_seed(0)
    unit: Any = create(preset("shufflenetv2"), (1, 8, 8), 3).get_submodule("layer1.1")
    inputs = torch.rand(2, 116, 4, 4).sub(0.5).relu()

    def paper(given: Tensor) -> Tensor:
        passed, changed = given[:, :58], given[:, 58:]
        inner = unit.bn2(unit.conv2(unit.bn1(unit.conv1(changed)).relu()))
        both = torch.stack([passed, unit.bn3(unit.conv3(inner)).relu()], dim=2)
        return both.flatten(1, 2)

    torch.testing.assert_close(unit.eval()(inputs), paper(inputs))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "wrn", "depth": 15}, "depth=15 is not allowed: it must be 6n+4"),
        ({"name": "vgg", "depth": 12}, "depth=12 is not allowed"),
        ({"name": "mobilenetv2", "width": 0.01}, "width=0.01 is not allowed: it must be at least 0.0625."),
        ({"name": "imagenet_resnet", "depth": 20}, "depth=20 is not allowed"),
    ],
)
def test_values_out_of_range_are_told_by_key(values: dict[str, Any], sentence: str):
    problems = read(models.find(values["name"]).options, values)[1]
    assert any(sentence in problem for problem in problems), problems
