"""Options that work on every network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distill.config.options import Flag, Natural, Options


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Base of every network's options.

    Attributes:
        checkpoint: File of weights to start from (`.safetensors`, or `.pt`/`.pth` holding tensors only).
        train: `False` uses the weights as they are.
        seed: Seed of this network's initial weights, batch order, augmentation and dropout.
        features: Module paths whose outputs are feature maps, shallow to deep; `None` takes the
            network's own.
        embedding: Path of the module whose *input* is the embedding; `None` takes the network's own
            classifier.
        preactivations: Paths of the modules whose *inputs* are the feature maps before their activation, as
            many as `features`; `None` takes the network's own.
    """

    checkpoint: str | None = None
    train: Flag = True
    seed: Natural = 0
    features: list[str] | None = None
    embedding: str | None = None
    preactivations: list[str] | None = None

    @property
    def source(self) -> str | None:
        """Where the weights come from that the network needs no training with; `None` where there are no such."""
        return self.checkpoint

    def identity(self) -> dict[str, Any]:
        """What else than its options makes this network what it is, such as the source it is built by."""
        return {}

    def label(self) -> str:
        """How tables call this network, such as `mlp-1200-1200`."""
        return self.name
