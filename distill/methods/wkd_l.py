"""Transport between classes: Lv et al. 2024, "Wasserstein Distance Rivals Kullback-Leibler Divergence" (WKD-L).

https://arxiv.org/abs/2412.08139, section 3.1. Probability that student and teacher give to different classes costs
the less the more these classes are alike, which KL cannot see. The class of the label stands apart, as in `nkd`.

How alike two classes are is the cosine of the teacher's classifier weights, one of the paper's measures (the authors'
code calls it `fc`). The paper's main one, CKA of all training examples' features, would take a pass over the data
first. With the entropic plan of ten Sinkhorn steps the distance is not zero where student and teacher agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config.options import Count, Fraction, NonNegative, Positive
from distill.errors import ConfigError
from distill.methods.base import check_same_classes, main_labels, methods
from distill.methods.nkd import weighted_label_loss
from distill.methods.schedules import faded
from distill.methods.soft_targets import LogitMethod, LogitOptions
from distill.methods.target_class import check_three_classes
from distill.models.taps import Tapped
from distill.types import Batch, Output

_EPSILON = 1e-8


def class_costs(vectors: Tensor, sharpness: float) -> Tensor:
    """`1 - exp(-sharpness * (1 - cosine))`: what it costs to move probability between two classes, 0 to itself.

    Args:
        vectors: `[classes, width]`, one for each class.
        sharpness: The paper's kappa, > 0.

    Returns:
        `[classes, classes]`.
    """
    vectors = F.normalize(vectors.float(), dim=1)
    costs = 1 - torch.exp(-sharpness * (1 - vectors @ vectors.T))
    return costs.clamp(min=0).fill_diagonal_(0)


def transport_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    costs: Tensor,
    T: float | Tensor,
    labels: Tensor | None = None,
    smoothing: float = 0.05,
    iterations: int = 10,
) -> Tensor:
    """Cost of the entropic plan that moves the student's probabilities to the teacher's, mean over the batch, in fp32.

    Args:
        student_logits: `[batch, classes]`.
        teacher_logits: `[batch, classes]`.
        costs: `[classes, classes]`, >= 0.
        T: Temperature, > 0.
        labels: `[batch]` int64: leaves each example's own class out; `None` leaves out nothing.
        smoothing: Of the plan (the paper's lambda), > 0.
        iterations: Sinkhorn steps, through which gradients flow.

    Raises:
        ConfigError: The number of classes differs.
    """
    check_same_classes(student_logits, teacher_logits)
    left_out = torch.zeros_like(student_logits, dtype=torch.bool)
    if labels is not None:
        left_out = torch.arange(student_logits.shape[1], device=labels.device) == labels[:, None]
    student, teacher = (
        F.softmax((logits.float() / T).masked_fill(left_out, -torch.inf), dim=1)
        for logits in (student_logits, teacher_logits)
    )
    kernel = torch.exp(-costs / smoothing)
    # A class that is left out has no mass on either side, so that the plan moves nothing from or to it.
    kept = (~left_out).float()
    sources = targets = kept / kept.sum(dim=1, keepdim=True)
    for _ in range(iterations):
        targets = teacher / (sources @ kernel + _EPSILON)
        sources = student / (targets @ kernel.T + _EPSILON)
    return ((sources @ (kernel * costs)) * targets).sum(dim=1).mean()


@dataclass(frozen=True, kw_only=True)
class WkdLOptions(LogitOptions):
    """Options of `wkd_l`.

    Attributes:
        target_weight: Of the cross-entropy that the teacher's probability of the label weighs.
        transport_weight: Of the transport between the other classes.
        decay_from: Share of the epochs after which that weight falls to zero by half a cosine; 1 keeps it.
        sharpness: Of the cost of classes that are unlike (the paper's kappa).
        smoothing: Of the transport plan (the paper's lambda).
        iterations: Sinkhorn steps.
        hard_weight: Of the hard labels.
    """

    name: str = "wkd_l"
    T: Positive = 8.0
    target_weight: NonNegative = 1.0
    transport_weight: NonNegative = 600.0
    decay_from: Fraction = 0.625
    sharpness: Positive = 1.0
    smoothing: Positive = 0.05
    iterations: Count = 10
    hard_weight: NonNegative = 1.0


@methods.register("wkd_l", WkdLOptions)
class WkdL(LogitMethod):
    """`hard_weight * cross_entropy + target_weight * label part + transport_weight * transport of the others`."""

    options: WkdLOptions
    costs: Tensor  # [classes, classes]

    def build(self, student: Tapped, teacher: Tapped, example: Batch, labels: Tensor) -> None:
        """Takes the costs between classes from the teacher's classifier.

        Raises:
            ConfigError: There are two classes, or the teacher has no classifier with a vector for each class.
        """
        super().build(student, teacher, example, labels)
        classes = teacher.see(example).logits.shape[1]
        with torch.autocast(example.inputs.device.type, enabled=False):
            costs = class_costs(_classifier(teacher.network, classes), self.options.sharpness)
        self.register_buffer("costs", costs)

    def adapt(self, student: Output, teacher: Output) -> None:
        """Refuses two classes."""
        check_three_classes(student.logits, "wkd_l")

    @property
    def changes(self) -> bool:
        """Whether a schedule, the warm-up or the weight of the transport moves."""
        return self.options.decay_from < 1 or super().changes

    @property
    def transport_weight(self) -> float:
        """The weight of the transport in this epoch."""
        return self.options.transport_weight * faded(self.options.decay_from, self.epoch, self.epochs)

    def terms(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `target`, `transport` and `hard`."""
        options, labels, compared = self.options, main_labels(batch), self.compared(student, teacher)
        moved = transport_loss(*compared, self.costs, self.T, labels, options.smoothing, options.iterations)
        return {
            "target": options.target_weight * weighted_label_loss(*compared, labels),
            "transport": self.transport_weight * moved,
            "hard": options.hard_weight * self.hard_loss(student.logits, batch),
        }


def _classifier(network: nn.Module, classes: int) -> Tensor:
    """`[classes, width]`: the weights of the last layer that answers for all classes."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    fitting = [layer for layer in layers if len(layer.weight) == classes]
    if not fitting:
        raise ConfigError(
            f"method=wkd_l compares classes by the teacher's last linear layer, and this teacher has none with "
            f"{classes} outputs: choose another teacher, or method=nkd."
        )
    return fitting[-1].weight.detach().flatten(1)
