"""How far a student answers what its teacher answers, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from distill.training.in_parts import in_parts


@dataclass(frozen=True)
class Fidelity:
    """Likeness of two networks' answers to the same examples.

    Attributes:
        agreement: Share of the examples whose most likely class is the same, 0..1.
        kl: Mean KL divergence of the student's probabilities from the teacher's, KL(teacher || student), at
            temperature 1, nats.
        agreement_wrong: Agreement on the examples that the teacher gets wrong; `None` where it gets none wrong.
    """

    agreement: float
    kl: float
    agreement_wrong: float | None


def fidelity(student: Tensor, teacher: Tensor, labels: Tensor) -> Fidelity:
    """Compares answers.

    Args:
        student: `[examples, classes]` logits.
        teacher: `[examples, classes]` logits.
        labels: `[examples]` class numbers.
    """
    student, teacher, labels = student.cpu(), teacher.cpu(), labels.cpu()
    told = teacher.argmax(dim=1)
    same, wrong = student.argmax(dim=1) == told, (told != labels) & (labels >= 0)
    return Fidelity(
        agreement=int(same.sum()) / len(labels),
        kl=_divergence(teacher, student) / len(labels),
        agreement_wrong=int((same & wrong).sum()) / int(wrong.sum()) if wrong.any() else None,
    )


def _divergence(teacher: Tensor, student: Tensor) -> float:
    """The KL divergences of all examples, added up."""
    total = 0.0
    for taught, answered in in_parts(teacher, student):
        wanted, given = (logits.double().log_softmax(dim=1) for logits in (taught, answered))
        total += (wanted.exp() * (wanted - given)).sum().item()
    return total
