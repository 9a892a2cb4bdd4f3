"""Named streams of random numbers: each from one seed, none shifted by what another draws."""

from __future__ import annotations

import hashlib
import json

import torch


def stream_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for one purpose, such as `stream_seed(0, "order", epoch)`."""
    digest = hashlib.sha256(json.dumps([seed, *stream]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *stream: str | int) -> torch.Generator:
    """A CPU generator for one purpose, so that what it draws is the same whatever the device."""
    return torch.Generator().manual_seed(stream_seed(seed, *stream))


def seed_torch(seed: int, device: torch.device) -> None:
    """Starts torch's own generators anew, which initial weights and dropout draw from.

    `torch.manual_seed` seeds every kind of device that torch knows of, which takes longer than a short epoch.

    Args:
        seed: As `stream_seed` gives it.
        device: Where networks are.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
