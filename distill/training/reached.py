"""How good a network is on a split, from what adds up over its examples: in parts, and in several processes."""

from __future__ import annotations

from torch import Tensor

from distill.data.targets import Targets


def counted(answers: Tensor, labels: Tensor) -> Tensor:
    """What adds up: how many examples are right, int64 `[1]`; of real-valued targets their squared errors, `[targets]`.

    Args:
        answers: `[batch, classes]`, or `[batch, targets]` as networks learn them.
        labels: `[batch]` int64, or `[batch, targets]`.
    """
    if labels.is_floating_point():
        return (answers.float() - labels).square().sum(dim=0)
    return (answers.argmax(dim=1) == labels).sum()[None]


def named(total: Tensor, labels: Tensor, targets: Targets | None) -> dict[str, float]:
    """How good that is, by name.

    Args:
        total: The sum of `counted` over all examples.
        labels: Of all of them, as there.
        targets: Of a regression.

    Returns:
        `accuracy`, 0..1; or `r2`, 1 at best, and `rmse` in the targets' own units, each the mean over the targets.
    """
    if targets is None:
        return {"accuracy": total.item() / len(labels)}
    errors, known = total.cpu().double(), labels.cpu().double()
    spread = (known - known.mean(dim=0)).square().sum(dim=0)
    roots = (errors / len(known)).sqrt() * errors.new_tensor(targets.deviation)
    return {"r2": (1 - errors / spread).mean().item(), "rmse": roots.mean().item()}
