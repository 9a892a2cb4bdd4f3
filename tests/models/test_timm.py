"""Any network of timm fits the data set, is read where timm says, and refuses in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from distill.config.options import read
from distill.errors import CheckpointError, ConfigError
from distill.models import create
from distill.models.networks.timm import TimmOptions
from distill.models.taps import Tapped, default_taps

timm = pytest.importorskip("timm")


def made(architecture: str, shape: tuple[int, int, int], classes: int = 7, **values: Any) -> nn.Module:
    torch.manual_seed(0)
    return create(TimmOptions(name="timm", architecture=architecture, **values), shape, classes)


@pytest.mark.parametrize(
    ("architecture", "shape", "maps", "width"),
    [
        ("resnet10t", (1, 32, 32), [(64, 8, 8), (128, 4, 4), (256, 2, 2), (512, 1, 1)], 512),
        ("mobilenetv3_small_050", (3, 64, 64), [(8, 16, 16), (16, 8, 8), (24, 4, 4), (288, 2, 2)], 1024),
        ("test_vit", (1, 32, 32), [(5, 64)] * 6, 64),
    ],
)
def test_networks_fit_the_pictures_and_are_read_at_their_stages(
    architecture: str, shape: tuple[int, int, int], maps: list[tuple[int, ...]], width: int
):
    network = made(architecture, shape)
    output = Tapped(network, default_taps(network))(torch.randn(2, *shape))
    assert output.logits.shape == (2, 7)
    assert [tuple(feature.shape[1:]) for feature in output.features] == maps
    assert output.embedding is not None
    assert output.embedding.shape == (2, width)
    assert network.training


def test_a_network_with_two_heads_names_both():
    network = made("deit_tiny_distilled_patch16_224", (3, 32, 32))
    assert default_taps(network).heads == ("head", "head_dist")
    output = Tapped(network, default_taps(network))(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(output.logits, (output.heads[0] + output.heads[1]) / 2)


def test_maps_with_channels_last_are_told_from_others():
    network = made("swin_tiny_patch4_window7_224", (3, 32, 32))
    features = Tapped(network, default_taps(network).only(["features"]))(torch.randn(2, 3, 32, 32)).features
    assert [tuple(feature.shape[1:]) for feature in features] == [(96, 8, 8), (192, 4, 4), (384, 2, 2), (768, 1, 1)]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"architecture": "resnet5O"}, "architecture=resnet5O is not allowed (did you mean 'resnet50'?): it must be"),
        ({"architecture": "resnet18", "weights": "best"}, "for resnet18 it must be null or DEFAULT or "),
    ],
)
def test_names_that_timm_does_not_know_are_told_by_key(values: dict[str, Any], sentence: str):
    problems = read(TimmOptions, {"name": "timm", **values})[1]
    assert any(sentence in problem for problem in problems), problems


def test_pictures_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"^The model vit_tiny_patch16_224 cannot take .*8x8"):
        made("vit_tiny_patch16_224", (3, 8, 8))


def test_a_download_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    def unreachable(*args: Any, **kwargs: Any):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(
        CheckpointError, match=r"^weights=DEFAULT of resnet10t cannot be had \(no route to host\); .*\.$"
    ):
        made("resnet10t", (3, 32, 32), weights="DEFAULT")


def test_without_the_extra_its_installation_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"^The model resnet10t needs timm, an extra: pip install 'distill\[timm\]'\.$"
    ):
        made("resnet10t", (3, 32, 32))
