"""Shows what a student learned from where its method made that itself."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from distill.experiments.asking import Asking
from distill.experiments.assembly import Obtained
from distill.models import weights
from distill.results.generated import COLUMNS, ROWS


class Generating(Asking):
    """Looks into methods whose examples are generated; made as `Assembly` is."""

    def generated(self, one: Obtained) -> tuple[np.ndarray, list[str]] | None:
        """Pictures that a network learned from, sorted by what its teacher takes them for.

        Args:
            one: The network, out of the store.

        Returns:
            Pictures `[count, height, width, 3]` uint8, and the name of the class of each; `None` for a network that
            learned from data, or whose pictures are neither grey nor in colour.
        """
        data, node = self._seen(one.node), one.node
        if not data.generated or not node.parents or data.input_shape[0] not in (1, 3):
            return None
        with ExitStack() as hooked:
            training = self._training(node, self._network(node), one.parents[: len(node.parents)], hooked)
            method = training.method
            if one.artifact.adapters.exists():
                weights.load_into(method, one.artifact.adapters, f"what the {node.role} learned from, in the store")
            seen = method.generated(COLUMNS * ROWS)
            teacher = self._stored(one.parents[0]).eval()
            with torch.inference_mode():
                classes = teacher(seen).argmax(dim=1)
        order = classes.argsort(stable=True).tolist()
        raw = seen / data.normalization.scale.to(seen.device)[:, None, None]
        raw = (raw + data.normalization.offset.to(seen.device)[:, None, None]).cpu()
        return np.stack([_pixels(raw[number], data.maximum) for number in order]), [
            data.classes[int(classes[number])] for number in order
        ]


def _pixels(raw: Tensor, maximum: float) -> np.ndarray:
    """`[height, width, 3]` uint8 of `[1 or 3, height, width]`, with what is beyond black and white cut off."""
    values = (raw * (255 / maximum)).clamp(0, 255).round().to(torch.uint8)
    return values.expand(3, -1, -1).permute(1, 2, 0).numpy()
