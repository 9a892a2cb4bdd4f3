"""Factor transfer: Kim, Park, Kwak 2018, "Paraphrasing Complex Network: Network Compression via Factor Transfer".

https://arxiv.org/abs/1802.04977, sections 3.1 (paraphraser) and 3.2 (translator). A paraphraser, the encoder of an
autoencoder of the teacher's last map, is trained without labels in the first stage, while the student learns from
labels alone; then it is fixed, and a translator turns the student's last map into what it makes of the teacher's.

The loss is a mean over the entries of a factor, as in the authors' code (hence their weight of 500), and not a sum. The
CIFAR-100 benchmark compares attention maps of the factors instead, with weight 200 (`compare: attention`), which is not
in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Gt, Le
from pydantic import Strict
from torch import Tensor, nn

from distill.config.options import Count, NonNegative
from distill.methods import adapters
from distill.methods.at import attention_map
from distill.methods.base import methods
from distill.methods.staged import Staged, StagedOptions
from distill.types import Batch, Output

_SLOPE = 0.1


def factor_loss(student: Tensor, teacher: Tensor, p: int = 1) -> Tensor:
    """`|difference|^p` of factors of length 1, mean over all entries, in fp32.

    Args:
        student: `[batch, ...]`, a factor.
        teacher: Of the same shape.
        p: 1 or 2.
    """
    ours, theirs = (F.normalize(factor.float().flatten(1), dim=1) for factor in (student, teacher))
    return (ours - theirs).abs().pow(p).mean()


@dataclass(frozen=True, kw_only=True)
class FtOptions(StagedOptions):
    """Options of `ft`.

    Attributes:
        k: Channels of a factor, as a share of the teacher's.
        compare: Whole `factors`, or their `attention` maps.
        p: Power of the difference.
    """

    others_alone: ClassVar[bool] = False
    name: str = "ft"
    weight: NonNegative = 500.0
    k: Annotated[float, Strict(), Gt(0), Le(1)] = 0.5
    compare: Literal["factors", "attention"] = "factors"
    p: Count = 1


@methods.register("ft", FtOptions)
class FactorTransfer(Staged):
    """`hard_weight * cross_entropy`, with the reconstruction in the first stage and `weight * factor_loss` after it."""

    taps = frozenset({"features"})
    options: FtOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Makes paraphraser and translator."""
        ours, theirs = self._maps(student, teacher)
        inner, outer = theirs.shape[1], max(1, round(self.options.k * theirs.shape[1]))
        self.paraphraser = _layers(nn.Conv2d, [inner, inner, outer, outer])
        self.decoder = _layers(nn.ConvTranspose2d, [outer, outer, inner, inner])
        self.translator = _layers(nn.Conv2d, [ours.shape[1], ours.shape[1], outer, outer])

    @property
    def reads_teacher(self) -> bool:
        """Always: its map is paraphrased in both stages."""
        return True

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `reconstruction` in the first stage or `ft` after it, `soft` where it weighs anything, `hard`."""
        others = self.others(student, teacher, batch)
        if not self.initialises:
            return {**self.own(student, teacher, batch), **others}
        _, theirs = self._maps(student, teacher)
        return {"reconstruction": F.mse_loss(self.decoder(self.paraphraser(theirs)), theirs), **others}

    def distance(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        """How far the translator is from the paraphraser, which learns no more."""
        ours, theirs = self._maps(student, teacher)
        with torch.no_grad():
            paraphrased = self.paraphraser(theirs)
        factors = self.translator(ours), paraphrased
        if self.options.compare == "attention":
            factors = attention_map(factors[0]), attention_map(factors[1])
        return factor_loss(*factors, self.options.p)

    def _maps(self, student: Output, teacher: Output) -> tuple[Tensor, Tensor]:
        pairs = adapters.map_pairs(student.features, teacher.features, self.options.name)
        return adapters.same_size(*pairs[-1])


def _layers(layer: type[nn.Conv2d] | type[nn.ConvTranspose2d], widths: list[int]) -> nn.Sequential:
    """Three 3x3 convolutions, each followed by a leaky ReLU."""
    steps = pairwise(widths)
    return nn.Sequential(*(nn.Sequential(layer(*step, 3, padding=1), nn.LeakyReLU(_SLOPE)) for step in steps))
