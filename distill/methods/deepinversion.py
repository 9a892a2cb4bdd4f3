"""Pictures from what batch norm remembers: Yin et al. 2020, "Dreaming to Distill: ... via DeepInversion".

https://arxiv.org/abs/1912.08795, section 3. Norms are not squared, in the paper as in the authors' code. The
competition term follows the paper: the code takes the divergences in it the other way round and clamps probabilities
to 0.01..0.99.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def statistics_loss(inputs: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
    """`||mean - running mean|| + ||variance - running variance||` of one batch norm, in fp32.

    The variance of the batch is the biased one, which batch norm normalises with.

    Args:
        inputs: `[batch, channels, height, width]`, what the batch norm is given.
        running_mean: `[channels]`.
        running_var: `[channels]`.
    """
    variance, mean = torch.var_mean(inputs.float(), dim=(0, 2, 3), correction=0)
    return torch.linalg.vector_norm(mean - running_mean) + torch.linalg.vector_norm(variance - running_var)


def total_variation(images: Tensor) -> tuple[Tensor, Tensor]:
    """How much neighbours differ, in four directions (across, down, both diagonals), in fp32.

    Args:
        images: `[batch, channels, height, width]`.

    Returns:
        The sum of the mean absolute differences, and of the norms of the differences over the whole batch.
    """
    images = images.float()
    differences = (
        images[..., :, :-1] - images[..., :, 1:],
        images[..., :-1, :] - images[..., 1:, :],
        images[..., 1:, :-1] - images[..., :-1, 1:],
        images[..., :-1, :-1] - images[..., 1:, 1:],
    )
    absolute = torch.stack([difference.abs().mean() for difference in differences])
    norms = torch.stack([torch.linalg.vector_norm(difference) for difference in differences])
    return absolute.sum(), norms.sum()


def image_norm(images: Tensor) -> Tensor:
    """`||image||`, mean over the batch, in fp32.

    Args:
        images: `[batch, channels, height, width]`.
    """
    return torch.linalg.vector_norm(images.float().flatten(1), dim=1).mean()


def competition_loss(student_logits: Tensor, teacher_logits: Tensor, T: float = 3.0) -> Tensor:
    """`1 - JS(teacher_T, student_T)`, mean over the batch, in fp32: small on pictures that set them apart.

    1 where both agree, and 1 - ln 2 at the least. Gradient flows through both, to the pictures.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        T: Temperature, > 0.
    """
    both = torch.stack([F.log_softmax(logits.float() / T, dim=1) for logits in (student_logits, teacher_logits)])
    # log((p + q) / 2)
    middle = torch.logsumexp(both, dim=0) - torch.log(both.new_tensor(2.0))
    return 1 - (both.exp() * (both - middle)).sum(dim=2).mean()
