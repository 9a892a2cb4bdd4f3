"""Vision transformers (Dosovitskiy et al. 2021), also with a distillation token (Touvron et al. 2021).

https://arxiv.org/abs/2010.11929 and https://arxiv.org/abs/2012.12877. Architecture, initialisation and parameter names
are those of DeiT (https://github.com/facebookresearch/deit), with sizes that suit small pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.model_options import ModelOptions
from distill.config.options import BelowOne, Count, Positive
from distill.errors import ConfigError
from distill.models import models
from distill.models.shapes import pictures
from distill.models.taps import Taps

_DEVIATION = 0.02  # of the truncated normal distribution that weights are drawn from


@dataclass(frozen=True, kw_only=True)
class VitOptions(ModelOptions):
    """Options of `vit` and `deit`.

    Attributes:
        patch: Side of a patch, pixels; it must divide the side of the pictures.
        width: Numbers per token.
        depth: Blocks of attention and MLP.
        heads: Of attention; they must divide the width.
        mlp_ratio: How many times as wide as a token the MLP's hidden layer is.
        dropout: Share dropped while training of the embedded patches and of what each block adds, 0 to <1.
    """

    patch: Count = 4
    width: Count = 64
    depth: Count = 6
    heads: Count = 4
    mlp_ratio: Positive = 2.0
    dropout: BelowOne = 0.0

    def check(self) -> Iterable[str]:
        """Heads share the width evenly, and the hidden layer of the MLP has a unit."""
        if self.width % self.heads:
            yield f"heads={self.heads} is not allowed: it must divide width={self.width}."
        if int(self.width * self.mlp_ratio) < 1:
            yield f"mlp_ratio={self.mlp_ratio:g} is not allowed: it must be at least 1/width, {1 / self.width:g}."

    def label(self) -> str:
        """`vit` or `deit` with width, depth and patch, such as `vit-192-12-patch4`."""
        return f"{self.name}-{self.width}-{self.depth}-patch{self.patch}"


class Patches(nn.Module):
    """Cuts pictures into patches and embeds each: a convolution `proj` whose stride is its kernel."""

    def __init__(self, channels: int, patch: int, width: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, inputs: Tensor) -> Tensor:
        """Tokens `[batch, patches, width]`, row by row."""
        return self.proj(inputs).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention of several heads among tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `[batch, tokens, width]`."""
        # [3, batch, heads, tokens, width / heads]
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """One hidden layer with GELU, applied to each token."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `[batch, tokens, width]`."""
        return self.fc2(self.act(self.fc1(tokens)))


class Block(nn.Module):
    """Attention and an MLP, each behind a layer norm and added to the tokens it was given."""

    def __init__(self, options: VitOptions):
        super().__init__()
        self.norm1 = nn.LayerNorm(options.width, eps=1e-6)
        self.attn = Attention(options.width, options.heads)
        self.norm2 = nn.LayerNorm(options.width, eps=1e-6)
        self.mlp = Mlp(options.width, int(options.width * options.mlp_ratio))
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `[batch, tokens, width]`."""
        tokens = tokens + self.dropout(self.attn(self.norm1(tokens)))
        return tokens + self.dropout(self.mlp(self.norm2(tokens)))


class Vit(nn.Module):
    """Embedded patches behind a class token, `blocks`, layer norm, and a `head` on the class token.

    The feature maps are the tokens `[batch, tokens, width]` that come out of each block.

    Args:
        options: Sizes.
        shape: `(channels, side, side)` of one picture.
        classes: Width of the logits.
    """

    special = 1  # tokens that are not patches

    def __init__(self, options: VitOptions, shape: tuple[int, int, int], classes: int):
        super().__init__()
        width, count = options.width, (shape[1] // options.patch) ** 2 + self.special
        self.patch_embed = Patches(shape[0], options.patch, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, count, width))
        self.dropout = nn.Dropout(options.dropout)
        self.blocks = nn.Sequential(*(Block(options) for _ in range(options.depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)
        stages = tuple(f"blocks.{number}" for number in range(options.depth))
        self.taps = Taps(stages, "head", (None,) * options.depth)
        self._draw()

    def _draw(self) -> None:
        for token in self.parameters(recurse=False):
            nn.init.trunc_normal_(token, std=_DEVIATION)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_DEVIATION)
                nn.init.zeros_(module.bias)

    def tokens(self, inputs: Tensor) -> Tensor:
        """`[batch, special + patches, width]` as the heads read them."""
        patches = self.patch_embed(inputs)
        special = [token.expand(inputs.shape[0], -1, -1) for token in self.special_tokens()]
        return self.norm(self.blocks(self.dropout(torch.cat([*special, patches], dim=1) + self.pos_embed)))

    def special_tokens(self) -> list[Tensor]:
        """`[1, 1, width]` each, those that go before the patches."""
        return [self.cls_token]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, side, side]`."""
        return self.head(self.tokens(inputs)[:, 0])


class Deit(Vit):
    """A `Vit` with a distillation token and a head of its own for it, `head_dist`.

    Its logits are the mean of both heads', while training too; methods read each head's from the taps. (The paper
    adds the heads' softmax outputs, section 3; its code averages their logits, as here.)
    """

    special = 2

    def __init__(self, options: VitOptions, shape: tuple[int, int, int], classes: int):
        super().__init__(options, shape, classes)
        self.dist_token = nn.Parameter(torch.zeros(1, 1, options.width))
        self.head_dist = nn.Linear(options.width, classes)
        self.taps = Taps(self.taps.features, "head", self.taps.preactivations, ("head", "head_dist"))
        self._draw()

    def special_tokens(self) -> list[Tensor]:
        """The class token and the distillation token."""
        return [self.cls_token, self.dist_token]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `[batch, classes]` of pictures `[batch, channels, side, side]`."""
        tokens = self.tokens(inputs)
        return (self.head(tokens[:, 0]) + self.head_dist(tokens[:, 1])) / 2


@models.register("vit", VitOptions)
def build(options: VitOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A vision transformer for pictures of one fixed size."""
    return Vit(options, _squares(options, input_shape), classes)


@models.register("deit", VitOptions)
def build_deit(options: VitOptions, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """One with a distillation token."""
    return Deit(options, _squares(options, input_shape), classes)


def _squares(options: VitOptions, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = pictures(options.label(), input_shape)
    if height != width or height % options.patch:
        raise ConfigError(
            f"The model {options.label()} cuts square pictures into patches of {options.patch}x{options.patch} pixels, "
            f"and those of this data set have {height}x{width}: give a patch that divides the side, or other pictures."
        )
    return channels, height, width
