"""What goes into an exported file, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from distill.data.normalization import Normalization
from distill.export.preprocessing import Prepared

INPUT, OUTPUT = "inputs", "logits"
CALIBRATION = 512  # training examples at most
Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Content:
    """A network to be written.

    Attributes:
        network: In evaluation mode, on the CPU; it takes normalised inputs.
        inside: The normalisation that becomes part of the file; `None` where it stays outside.
        example: `[2, ...]` inputs of the file.
        facts: What the file says of itself, by name.
        opset: Version of ONNX's operators; `None` for the exporter's own choice.
        calibration: Gives `[examples, ...]` training examples as the file takes them, to quantise with; `None` keeps
            fp32.
    """

    network: nn.Module
    inside: Normalization | None
    example: Tensor
    facts: dict[str, Any]
    opset: int | None = None
    calibration: Callable[[], Tensor] | None = None

    @property
    def prepared(self) -> nn.Module:
        """The network as one module, from inputs of the file to logits."""
        return Prepared(self.network, self.inside).eval()
