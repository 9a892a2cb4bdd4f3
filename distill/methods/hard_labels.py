"""Cross-entropy with hard labels where some classes are rare, or some examples have no label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

HardLoss = Literal["plain", "weighted", "logit_adjusted"]


@dataclass(frozen=True, eq=False)
class HardLabels:
    """How much the labels of a training set count.

    Attributes:
        weights: `[classes]` factor of the loss of each class's examples.
        shift: `[classes]` what is added to the logits first.
        partial: Whether some examples have no label.
    """

    weights: Tensor
    shift: Tensor
    partial: bool = False

    def losses(self, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        """The loss of each example, `[batch]`; zero for one without a label.

        Args:
            logits: `[batch, classes]`, fp32.
            labels: `[batch]` int64, -1 for none.
            smoothing: Probability spread over all classes.
        """
        known = labels.clamp(min=0)
        losses = F.cross_entropy(logits + self.shift, known, reduction="none", label_smoothing=smoothing)
        return torch.where(labels < 0, 0.0, self.weights[known]) * losses


def hard_labels(kind: HardLoss, labels: Tensor, classes: int) -> HardLabels | None:
    """What makes up for rare classes and for labels that are not there; `None` where nothing must be made up for.

    `weighted` counts an example of class c `examples / (classes * n_c)` times, so that every class counts alike and an
    example once on average. `logit_adjusted` adds `log(n_c / examples)` to the logits while the network learns, so that
    without it they favour no class: Menon et al. 2021, "Long-tail learning via logit adjustment",
    https://arxiv.org/abs/2007.07314, equation 10, with tau = 1. Where only some examples have a label, each of those
    counts for as many as there are for each of them: a batch's mean is that of the labelled, on average over batches,
    and the parts of a batch add up to the whole.

    Args:
        kind: The loss.
        labels: `[examples]` int64 of all that is learnt from, -1 for none; the result is on their device.
        classes: How many there are; one without examples counts as one with one.
    """
    known = labels[labels >= 0]
    if kind == "plain" and len(known) == len(labels):
        return None
    counts = torch.bincount(known.cpu(), minlength=classes).float()
    present, examples = (counts > 0).sum().clamp(min=1), counts.sum().clamp(min=1)
    weights, shift = torch.ones(classes), torch.zeros(classes)
    if kind == "weighted":
        weights = examples / (present * counts.clamp(min=1))
    if kind == "logit_adjusted":
        shift = (counts.clamp(min=1) / examples).log()
    weights = weights * len(labels) / examples
    return HardLabels(weights.to(labels.device), shift.to(labels.device), len(known) < len(labels))
