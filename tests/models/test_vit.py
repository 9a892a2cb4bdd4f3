"""Vision transformers are DeiT's in every name and number, answer with both heads, and read as tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from distill.errors import ConfigError
from distill.models import create
from distill.models.count import flops, parameters
from distill.models.networks.vit import VitOptions
from distill.models.taps import Tapped, default_taps
from distill.training.layout import arrange

SMALL: dict[str, Any] = {"patch": 4, "width": 12, "depth": 2, "heads": 3, "mlp_ratio": 2.0}


def small(name: str, shape: tuple[int, int, int] = (1, 8, 8), **values: Any) -> nn.Module:
    torch.manual_seed(0)
    return create(VitOptions(name=name, **{**SMALL, **values}), shape, 5)


@pytest.mark.parametrize(("name", "published"), [("vit", 5_717_416), ("deit", 5_910_800)])
def test_the_tiny_one_has_the_size_that_deit_publishes(name: str, published: int):
    """Touvron et al. 2021, table 1, and what timm counts in `deit_tiny[_distilled]_patch16_224`."""
    tiny = VitOptions(name=name, patch=16, width=192, depth=12, heads=3, mlp_ratio=4.0)
    with torch.device("meta"):
        network = create(tiny, (3, 224, 224), 1000)
    assert parameters(network) == published
    assert tiny.label() == f"{name}-192-12-patch16"


def test_deits_checkpoints_fit_by_name_and_shape():
    with torch.device("meta"):
        network = create(VitOptions(name="deit", patch=16, width=192, depth=12, heads=3), (3, 224, 224), 1000)
    state = network.state_dict()
    some = {
        "cls_token": (1, 1, 192),
        "dist_token": (1, 1, 192),
        "pos_embed": (1, 198, 192),
        "patch_embed.proj.weight": (192, 3, 16, 16),
        "blocks.11.norm1.weight": (192,),
        "blocks.0.attn.qkv.weight": (576, 192),
        "blocks.0.attn.proj.bias": (192,),
        "blocks.5.mlp.fc2.bias": (192,),
        "norm.bias": (192,),
        "head.weight": (1000, 192),
        "head_dist.bias": (1000,),
    }
    assert {key: tuple(state[key].shape) for key in some} == some
    assert len(state) == 3 + 2 + 12 * 12 + 2 + 4


@pytest.mark.parametrize(("name", "special"), [("vit", 1), ("deit", 2)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_tokens_of_every_block_are_read_and_every_weight_learns(name: str, special: int, shape: tuple[int, int, int]):
    network = arrange(small(name, shape), shape, torch.device("cpu"))
    output = Tapped(network, default_taps(network))(torch.randn(2, *shape))
    count = special + (shape[1] // 4) ** 2
    assert [tuple(feature.shape) for feature in output.features] == [(2, count, 12)] * 2
    assert all(before is feature for before, feature in zip(output.preactivations, output.features, strict=True))
    output.logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_embedding_is_the_class_token_that_the_head_reads():
    network = small("vit")
    output = Tapped(network, default_taps(network))(torch.randn(2, 1, 8, 8))
    assert output.embedding is not None
    assert output.embedding.shape == (2, 12)
    torch.testing.assert_close(output.logits, network.get_submodule("head")(output.embedding))
    normed = network.get_submodule("norm")(output.features[-1])
    torch.testing.assert_close(output.embedding, normed[:, 0])


@pytest.mark.parametrize("training", [True, False])
def test_a_distilled_transformer_answers_with_the_mean_of_both_heads(training: bool):
    network = small("deit").train(training)
    output = Tapped(network, default_taps(network))(torch.randn(2, 1, 8, 8))
    own, taught = output.heads
    torch.testing.assert_close(output.logits, (own + taught) / 2)
    normed = network.get_submodule("norm")(output.features[-1])
    torch.testing.assert_close(own, network.get_submodule("head")(normed[:, 0]))
    torch.testing.assert_close(taught, network.get_submodule("head_dist")(normed[:, 1]))
    assert not torch.equal(own, taught)


def test_attention_is_what_the_paper_writes():
    """Vaswani et al. 2017, equation 1, head by head."""
    attention: Any = small("vit").get_submodule("blocks.0.attn")
    tokens = torch.randn(2, 6, 12)
    query, key, value = attention.qkv(tokens).chunk(3, dim=2)
    heads = []
    for head in range(3):
        q, k, v = (part[..., 4 * head : 4 * head + 4] for part in (query, key, value))
        heads.append((q @ k.transpose(1, 2) / 4**0.5).softmax(dim=2) @ v)
    torch.testing.assert_close(attention(tokens), attention.proj(torch.cat(heads, dim=2)))


def transformer_flops(tokens: int, width: int, hidden: int) -> int:
    projections, attended, mlp = 4 * width * width, 2 * tokens * width, 2 * width * hidden
    return 2 * tokens * (projections + attended + mlp)


def test_flops_count_attention():
    patches = 2 * 4 * (16 * 12)
    expected = patches + 2 * transformer_flops(5, 12, 24) + 2 * 12 * 5
    assert flops(small("vit"), (1, 8, 8)) == expected


def test_flops_count_layers_that_torch_runs_as_one_operation():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert flops(nn.Sequential(layer), (6, 8)) == transformer_flops(6, 8, 16)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(
    ("shape", "patch"), [((1, 28, 28), 8), ((3, 32, 24), 4), ((1, 8, 8), 16)], ids=["patch", "oblong", "large"]
)
def test_patches_must_fill_a_square(shape: tuple[int, int, int], patch: int):
    sizes = rf"patches of {patch}x{patch} pixels, and those of this data set have {shape[1]}x{shape[2]}"
    with pytest.raises(
        ConfigError, match=rf"^The model vit-12-2-patch{patch} cuts square pictures into {sizes}: .*\.$"
    ):
        small("vit", shape, patch=patch)


def test_sizes_that_do_not_fit_are_told_by_key():
    problems = list(VitOptions(name="vit", width=10, heads=3).check())
    assert problems == ["heads=3 is not allowed: it must divide width=10."]
    assert len(list(VitOptions(name="vit", width=10, heads=2, mlp_ratio=0.01).check())) == 1
