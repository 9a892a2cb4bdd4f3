"""How a generator learns from a teacher alone: Chen et al. 2019, "Data-Free Learning of Student Networks".

https://arxiv.org/abs/1904.01186, section 3.2. Two scales follow the authors' code, as its weights belong to them: the
entropy is not divided by the number of classes, and activations are averaged over features. The code takes the
logarithm to base 10, here it is the natural one: its weight of 5 is 5 / ln 10 = 2.17 here.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot_loss(logits: Tensor) -> Tensor:
    """Cross-entropy with the class that is likeliest anyway, mean over the batch, in fp32.

    Args:
        logits: `[batch, classes]`, of the teacher.
    """
    return F.cross_entropy(logits.float(), logits.argmax(dim=1))


def class_balance_loss(logits: Tensor) -> Tensor:
    """Minus the entropy of the mean prediction, in nats, in fp32; least, at -ln(classes), where all are as likely.

    Args:
        logits: `[batch, classes]`, of the teacher.
    """
    mean = torch.logsumexp(F.log_softmax(logits.float(), dim=1), dim=0) - math.log(len(logits))
    return (mean.exp() * mean).sum()


def activation_loss(features: Tensor) -> Tensor:
    """Minus the mean absolute value, in fp32.

    Args:
        features: `[batch, width]`, of the teacher before its classifier.
    """
    return -features.float().abs().mean()
