"""Generalised divergences between sequences: Agarwal et al. 2024, "On-Policy Distillation of Language Models ...".

https://arxiv.org/abs/2306.13649, section 2. The mean is over the tokens that count; trl's code, where all of them
count, divides by the number of sequences instead.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100


def generalized_jsd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor | None = None,
    *,
    beta: float = 0.5,
    T: float = 1.0,
) -> Tensor:
    """`beta * KL(teacher || M) + (1 - beta) * KL(student || M)`, mean over tokens, in fp32, without T^2.

    `M = beta * teacher + (1 - beta) * student`. That tends to 0 at both ends of beta, so there it is, as in the paper,
    what it tends to divided by beta or by 1 - beta: `KL(teacher || student)` at 0, `KL(student || teacher)` at 1.

    Args:
        student_logits: `[batch, tokens, vocabulary]`.
        teacher_logits: `[batch, tokens, vocabulary]`.
        labels: `[batch, tokens]` int64, the token each logit is about; tokens where it is -100 do not count.
        beta: 0..1.
        T: Temperature, > 0.
    """
    student = F.log_softmax(student_logits.float() / T, dim=-1)
    teacher = F.log_softmax(teacher_logits.float() / T, dim=-1)
    if beta == 0:
        losses = _divergence(teacher, student)
    elif beta == 1:
        losses = _divergence(student, teacher)
    else:
        mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
        losses = beta * _divergence(teacher, mixture) + (1 - beta) * _divergence(student, mixture)
    if labels is None:
        return losses.mean()
    counts = labels != IGNORED
    return torch.where(counts, losses, 0.0).sum() / counts.sum().clamp(min=1)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """`KL(first || second)` of log-probabilities, over the last dimension."""
    return (first.exp() * (first - second)).sum(dim=-1)
