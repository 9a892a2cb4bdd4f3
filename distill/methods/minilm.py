"""Self-attention relations: Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation ...".

https://arxiv.org/abs/2002.10957, equations 4 to 7, of the last layer. The mean is over all tokens of the batch. Between
queries alone and keys alone it is that of MiniLMv2, https://arxiv.org/abs/2012.15828.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def relation_loss(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
    """`KL(softmax(A_t B_t^T / sqrt(d_t)) || softmax(A_s B_s^T / sqrt(d_s)))`, mean over heads and tokens, in fp32.

    With queries and keys it is the attention distribution's loss, with values twice the value relation's. Widths may
    differ, numbers of heads may not.

    Args:
        student: Two of queries, keys, values: `[batch, heads, tokens, width]`.
        teacher: The same two: `[batch, heads, tokens, its width]`.
        mask: `[batch, tokens]`, true or not 0 for tokens that are not padding; default: all.
    """
    own, taught = _relation(*student, mask), _relation(*teacher, mask)
    losses = (taught.exp() * (taught - own)).sum(dim=-1).mean(dim=1)
    if mask is None:
        return losses.mean()
    counts = mask != 0
    return torch.where(counts, losses, 0.0).sum() / counts.sum()


def _relation(first: Tensor, second: Tensor, mask: Tensor | None) -> Tensor:
    """`[batch, heads, tokens, tokens]` log-probabilities over the second tokens."""
    scores = first.float() @ second.float().transpose(2, 3) / first.shape[3] ** 0.5
    if mask is not None:
        # Finite, as 0 * (-inf + inf) would be NaN.
        scores = scores.masked_fill((mask == 0)[:, None, None], torch.finfo(scores.dtype).min / 2)
    return F.log_softmax(scores, dim=-1)
