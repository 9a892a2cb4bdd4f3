"""Which trainings can be one: rules that options and a network tell, and a trial on the first batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill.config.schema import Hparams
from distill.methods import Method
from distill.seeds import stream_seed
from distill.training.members import Members
from distill.training.task import Training

# Numbers that every member may have its own of. All that a learning rate is computed from is among them.
_FREE = ("lr", "min_lr", "gamma", "schedule", "warmup_epochs", "step_epochs", "milestones", "momentum", "weight_decay")
# These too, unless they are off in one of them and on in another.
_FREE_WHEN_ON = ("grad_clip", "ema")
# FLOPs of one forward pass of one batch of one member. A CPU gains by doing small things together; its batched matrix
# products are slower than single ones (MLP 784-800-800-10 in batches of 64: 1.5 times), its grouped convolutions as
# well (CNN 16-32: 2 times in fp32).
_CPU_GAINS_UP_TO = 4e7
# Largest difference of a loss, of its size, that the order of sums explains.
_ROUNDING = {"fp32": 1e-3, "bf16": 3e-2}


def kind(hparams: Hparams) -> dict[str, Any]:
    """What the hparams of trainings must have in common to be stacked."""
    common = {name: value for name, value in vars(hparams).items() if name not in _FREE}
    return {**common, **{name: bool(common[name]) for name in _FREE_WHEN_ON}}


def method_kind(method: Method) -> dict[str, Any]:
    """What the options of methods must have in common to be stacked."""
    own = method.stacks or ()
    # A weight of zero may leave a term out, and what another method then computes has another shape.
    return {name: value != 0 if name in own else value for name, value in vars(method.options).items()}


def obstacle(network: nn.Module, method: Method, hparams: Hparams, device: torch.device, work: float) -> str | None:
    """Why no training of this kind can be stacked, if so.

    Args:
        network: What is trained.
        method: What it learns from.
        hparams: How it is trained.
        device: Where.
        work: FLOPs of one forward pass of one batch.
    """
    if method.stacks is None:
        return f"method {method.options.name} keeps something that cannot be stacked"
    if method.strong:
        return f"method {method.options.name} looks at two forms of each batch"
    if method.redesigns():
        return f"method {method.options.name} trains another network than the student alone"
    if method.changes:
        return f"method {method.options.name} changes from epoch to epoch"
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        return "batch norm keeps statistics"
    if any(True for _ in network.buffers()):
        return "the network keeps more than its weights"
    if device.type == "cpu" and any(isinstance(module, nn.modules.conv._ConvNd) for module in network.modules()):
        return "stacked convolutions are slower on a CPU"
    if device.type == "cpu" and work > _CPU_GAINS_UP_TO:
        return "each is enough work for a CPU, which would be slower on all at once"
    for key, fits in (("accumulate", (1, "auto")), ("on_nan", ("stop",)), ("precision", ("auto", "fp32", "bf16"))):
        if getattr(hparams, key) not in fits:
            return f"{key}={getattr(hparams, key)} looks at one network at a time"
    return None


def drops(network: nn.Module) -> bool:
    """Whether it has dropout, which members share, so that they must have one seed."""
    return any(isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 for module in network.modules())


@dataclass(frozen=True)
class Trial:
    """What came of asking members for their losses together, and each alone.

    Attributes:
        reason: Why they cannot be stacked, if so.
        bytes: Memory that one member needs, about.
    """

    reason: str | None
    bytes: int


def trial(trainings: Sequence[Training]) -> Trial:
    """Compares the losses of the first batch, so that nothing is stacked that does not come to the same.

    Args:
        trainings: The members; they are left as they were.
    """
    first = trainings[0]
    members = Members(trainings)
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.nbytes
        return tensor

    alone = []
    for training in trainings:
        torch.manual_seed(stream_seed(training.seed, "dropout", 0))
        training.network.train()
        training.method.train()
        training.method.start_epoch(0, training.hparams.epoch_count)
        batch = next(training.batches.epoch(0))
        taught = training.teacher(batch).float()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            with training.precision.autocast():
                answered = training.student.see(batch)
            terms = training.method(answered.float(), taught, batch)
        alone.append(torch.stack([term.detach() for term in terms.values()]))
    size = _bytes(members, sum(saved.values()) // len(trainings), first)
    try:
        members.learn()
        torch.manual_seed(stream_seed(first.seed, "dropout", 0))
        with torch.no_grad():
            stacked = members.losses(members.weights, [next(batches.epoch(0)) for batches in members.streams])
        expected = torch.stack(alone, dim=1)
        tolerance = _ROUNDING[first.precision.name]
        if not torch.allclose(stacked, expected, rtol=tolerance, atol=tolerance, equal_nan=True):
            return Trial("the first losses would not be the same", size)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        return Trial(f"torch.func.vmap: {str(error).splitlines()[0]}", size)
    return Trial(None, size)


def _bytes(members: Members, activations: int, training: Training) -> int:
    """Weights with their gradients, moments and copies; what the backward pass needs; what an evaluation holds."""
    weights = members.weights[0].nbytes * (7 + (training.hparams.select == "best_val"))
    test = training.test
    assert test is not None, "what is stacked is tested"
    evaluated = min(test.batch_size, len(test.split)) / training.batches.batch_size
    return int(weights + activations * (2 + evaluated))
