"""How networks lie in memory, so that the hardware works on them without rearranging or converting them first."""

from __future__ import annotations

import ctypes
import sys

import torch
from torch import nn

from distill.training.precision import Precision

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_CAST_WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_... of malloc.h
_LARGEST_ON_HEAP = 32 << 20  # bytes, the most that glibc takes


def arrange(network: nn.Module, input_shape: tuple[int, ...], device: torch.device) -> nn.Module:
    """Lays convolutions out with channels last, which is faster everywhere; outputs then lie like that, too.

    A network that asks its feature maps for a `view` that only the usual layout has stays as it is.

    Args:
        network: On `device`.
        input_shape: Of one example.
        device: Where it is.
    """
    if not any(isinstance(module, _CONVOLUTIONS) for module in network.modules()):
        return network
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, *input_shape, device=device))
    except RuntimeError as error:
        if "view size is not compatible" not in str(error):
            raise
        network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    finally:
        for module, training in modes:
            module.training = training
    return network


def freeze(network: nn.Module, precision: Precision) -> nn.Module:
    """Makes a network ready to be asked only: evaluation mode, no gradients, weights in the format they are used in.

    Autocast converts weights on every call, except those that are trained. What it would compute is unchanged.
    """
    network.eval().requires_grad_(False)
    for module in network.modules():
        # A subclass may use its weights elsewhere, where autocast does not convert them.
        if precision.dtype is not None and type(module) in _CAST_WEIGHTS:
            module.to(precision.dtype)
    return network


def keep_memory() -> None:
    """Lets the C library keep freed memory, which every step needs again, instead of returning it page by page."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl has not
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
