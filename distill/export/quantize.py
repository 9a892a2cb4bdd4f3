"""Weights and activations of an ONNX graph in int8, with onnxruntime's own quantisation."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from torch import Tensor

_BATCH = 64
_PRODUCTS = ["MatMul", "Gemm"]


def int8(model: onnx.ModelProto, examples: Callable[[], Tensor]) -> tuple[onnx.ModelProto, str]:
    """Quantises a graph: int8 weights with a scale per channel.

    A network of convolutions gets fixed scales of its activations, set on examples, so that it computes in int8 from
    layer to layer. One of matrix products, an MLP or a transformer, finds those scales anew for every batch:
    onnxruntime's advice for transformers, whose activations vary too much for fixed ones, and smaller files for MLPs.

    Args:
        model: With one input.
        examples: Gives `[examples, ...]` training examples, as the graph takes them; asked only where they are needed.

    Returns:
        The new graph, and what was done.
    """
    kinds = Counter(node.op_type for node in model.graph.node)
    del model.graph.value_info[:]  # shapes on the way; the quantiser turns weights around, and infers them anew
    convolutions = kinds["Conv"] > kinds["MatMul"]  # tokens make MatMul of a linear layer, single vectors make Gemm
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        if convolutions:
            inputs = examples()
            quantize_static(
                model,
                path,
                _Reader(model.graph.input[0].name, inputs),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                # The pair that onnxruntime is fastest with on x86.
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            done = f"int8, static (QDQ), per channel, calibrated on {len(inputs)} training examples"
        else:
            quantize_dynamic(model, path, op_types_to_quantize=_PRODUCTS, per_channel=True, weight_type=QuantType.QInt8)
            done = "int8, dynamic, per channel"
        return onnx.load(path), done


class _Reader(CalibrationDataReader):
    def __init__(self, name: str, inputs: Tensor):
        self._batches: Iterator[dict[str, np.ndarray]] = iter([{name: part.numpy()} for part in inputs.split(_BATCH)])

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
        return next(self._batches, None)
