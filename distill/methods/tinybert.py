"""Attention and hidden states, layer by layer: Jiao et al. 2020, "TinyBERT: Distilling BERT ...".

https://arxiv.org/abs/1909.10351, equations 7 to 10. Attention is compared before its softmax. Soft targets are summed
over classes, as in equation 10; the authors' code averages over them too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Padded places carry about -10,000 instead of a score.
_PADDED = -100.0


def attention_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Squared difference of attention scores, mean over each layer and summed over layers, in fp32.

    Student's layer i learns from the last of the i-th group of `teacher layers / student layers` of the teacher's.
    Padded places count as equal.

    Args:
        student: `[batch, heads, tokens, tokens]` scores before softmax, one per layer.
        teacher: Likewise; a multiple of the student's layers.
    """
    step = len(teacher) // len(student)
    chosen = teacher[step - 1 :: step]
    losses = [F.mse_loss(_kept(own), _kept(taught)) for own, taught in zip(student, chosen, strict=True)]
    return torch.stack(losses).sum()


def _kept(scores: Tensor) -> Tensor:
    return torch.where(scores <= _PADDED, 0.0, scores.float())


def hidden_loss(student: Sequence[Tensor], teacher: Sequence[Tensor], project: nn.Module) -> Tensor:
    """Squared difference of hidden states, mean over each layer and summed over layers, in fp32.

    Args:
        student: `[batch, tokens, width]`: the embeddings, and one per layer.
        teacher: Likewise, of its own width; a multiple of the student's layers.
        project: From the student's width to the teacher's, one for all layers.
    """
    step = (len(teacher) - 1) // (len(student) - 1)
    pairs = zip(student, teacher[::step], strict=True)
    return torch.stack([F.mse_loss(project(own.float()), taught.float()) for own, taught in pairs]).sum()


def soft_cross_entropy(student_logits: Tensor, teacher_logits: Tensor, T: float = 1.0) -> Tensor:
    """`-sum(teacher_T * log student_T)`, mean over the batch, in fp32, without T^2.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.
    """
    student = F.log_softmax(student_logits.float() / T, dim=1)
    return -((teacher_logits.float() / T).softmax(dim=1) * student).sum(dim=1).mean()
