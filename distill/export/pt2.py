"""PT2: the archive of `torch.export`, which AOTInductor, ExecuTorch and others start from."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.export.content import Content, Predict
from distill.export.program import captured

_FACTS = "distill.json"


def write(content: Content, path: Path) -> dict[str, Any]:
    """Writes the program, with the facts as its extra file `distill.json`."""
    file = io.BytesIO()  # of a path, its suffix would have to be .pt2
    facts = json.dumps(content.facts, indent=1)
    torch.export.save(captured(content.prepared, content.example), file, extra_files={_FACTS: facts})
    path.write_bytes(file.getbuffer())
    return {}


def read(path: Path, content: Content) -> Predict:
    """The program, run by torch."""
    module = torch.export.load(io.BytesIO(path.read_bytes())).module()

    def predict(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return module(inputs)

    return predict
