"""ONNX: for onnxruntime, and whatever else runs or converts such graphs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from distill.errors import DistillError
from distill.export import quantize
from distill.export.content import INPUT, OUTPUT, Content, Predict
from distill.export.program import captured
from distill.export.safetensors import as_texts

_OLDEST_OPSET = 18  # the exporter's operators are written for it; what is older is a conversion with gaps


def write(content: Content, path: Path) -> dict[str, Any]:
    """Writes the graph, with the facts as its metadata.

    Raises:
        DistillError: This opset is not to be had.
    """
    check_opset(content.opset)
    with _quiet():
        program = torch.onnx.export(
            captured(content.prepared, content.example),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: "batch"},),
            opset_version=content.opset,
            verbose=False,
        )
        assert program is not None
        model: onnx.ModelProto = program.model_proto
        found = next(each.version for each in model.opset_import if each.domain == "")
        if content.opset not in (None, found):
            raise DistillError(
                f"--opset {content.opset} is not allowed: this network cannot be written with it; {found} works."
            )
        known: dict[str, Any] = {"opset": found}
        if content.calibration is not None:
            model, known["quantization"] = quantize.int8(model, content.calibration)
    onnx.helper.set_model_props(model, as_texts({**content.facts, **known}))
    path.write_bytes(model.SerializeToString())
    return known


def read(path: Path, content: Content) -> Predict:
    """The graph, run by onnxruntime on as many CPU threads as torch has now.

    Raises:
        DistillError: This onnxruntime cannot run it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # Its errors have no ancestor of their own.
        if content.opset is None:
            raise
        raise DistillError(
            f"--opset {content.opset} is not allowed: onnxruntime {onnxruntime.__version__} cannot run the file; "
            "give an older one, or leave it out."
        ) from error

    def predict(inputs: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(session.run([OUTPUT], {INPUT: inputs.numpy()})[0]))

    return predict


def check_opset(opset: int | None) -> None:
    """Refuses a version of the operators that there is not.

    Raises:
        DistillError: It is too old, or too new for the installed onnx.
    """
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not _OLDEST_OPSET <= opset <= newest:
        raise DistillError(f"--opset {opset} is not allowed: it must be {_OLDEST_OPSET} to {newest}.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the reports of exporter and quantiser on their own steps; what matters is checked in the file."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
