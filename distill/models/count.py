"""What a network costs: its parameters, its bytes, its floating point operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def parameters(network: nn.Module) -> int:
    """The number of parameters, trainable or not; one that two modules share counts once."""
    return sum(parameter.numel() for parameter in network.parameters())


def size_bytes(network: nn.Module) -> int:
    """The bytes of the parameters and buffers that a file of weights holds, without its header."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def flops(network: nn.Module, input_shape: tuple[int, ...], device: torch.device | str = "cpu") -> int:
    """Floating point operations of one forward pass on one example.

    Counted with torch's own formulas (`torch.utils.flop_counter`), hence for convolutions, matrix products and
    attention, not for activations, normalisation and pooling. A multiply-accumulate counts 2.

    Args:
        network: On `device`; run in evaluation mode, and left in the mode it was in.
        input_shape: Shape of one example, without the batch.
        device: Where the network is.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    # One operation for a whole layer of attention, for which torch has no formula.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), _Counter() as counter:
            network(torch.zeros(1, *input_shape, device=device))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, training in modes:
            module.training = training
    return counter.total


class _Counter(TorchDispatchMode):
    """What `FlopCounterMode` does, without a tree of modules, and without importing torch's compiler for seconds."""

    total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=answer)
        return answer
