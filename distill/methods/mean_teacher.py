"""The teacher is a moving average of its student: Tarvainen, Valpola 2017, "Mean teachers are better role models".

https://arxiv.org/abs/1703.01780, section 2. The average is of parameters; the authors leave the statistics of batch
norm to the teacher, which runs in training mode.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def consistency_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Squared difference of probabilities, mean over batch and classes, in fp32.

    Bounded, unlike a divergence: it never exceeds 2 / classes. It has no gradient with respect to the teacher.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
    """
    return F.mse_loss(student_logits.float().softmax(dim=1), teacher_logits.detach().float().softmax(dim=1))


def average_decay(step: int | Tensor, decay: float) -> Tensor:
    """How much of the average stays at a step, a scalar: less in the first ones, when the average is of little.

    Args:
        step: From 1; a tensor stays on its device, so that nobody waits for it.
        decay: Its largest value, 0..1.
    """
    return torch.as_tensor(1 - 1 / (step + 1)).clamp(max=decay)


def moved_average(average: Tensor, value: Tensor, decay: float | Tensor) -> Tensor:
    """`decay * average + (1 - decay) * value`.

    Args:
        average: Of a parameter, any shape.
        value: The parameter now, of the same shape.
        decay: 0..1, a scalar.
    """
    return torch.lerp(value, average, decay)


def ramp_up(epoch: float, epochs: float) -> float:
    """`exp(-5 * (1 - epoch / epochs)^2)`: a weight that rises from almost 0 to 1 (Laine, Aila 2017).

    Args:
        epoch: From 0; fractions are allowed.
        epochs: When it is 1; after that it stays.
    """
    if epoch >= epochs:
        return 1.0
    return math.exp(-5 * (1 - epoch / epochs) ** 2)
