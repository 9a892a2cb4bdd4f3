"""What a network computes, as a graph whose batch may be of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram


def captured(network: nn.Module, example: Tensor) -> ExportedProgram:
    """The graph of a forward pass.

    Args:
        network: In evaluation mode.
        example: `[batch, ...]` inputs, of two examples at least: torch takes a batch of one for a constant.
    """
    sizes = ({0: Dim("batch", min=1)},)
    with torch.no_grad():
        try:
            return torch.export.export(network, (example,), dynamic_shapes=sizes, strict=False)
        except Exception as error:
            # Reading the bytecode takes longer, and understands `len(inputs)`, which following a call does not.
            try:
                return torch.export.export(network, (example,), dynamic_shapes=sizes, strict=True)
            except Exception:
                raise error from None
