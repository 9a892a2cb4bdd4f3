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
