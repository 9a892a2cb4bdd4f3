"""safetensors: weights alone, by the names of the state dict, for programs that have the network's code."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from distill.export.content import Content, Predict


def write(content: Content, path: Path) -> dict[str, Any]:
    """Writes the state dict, with the facts as metadata: each as JSON, but for those that are texts."""
    # safetensors refuses memory that two names share.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in content.network.state_dict().items()}
    path.write_bytes(safetensors.torch.save(tensors, metadata=as_texts(content.facts)))
    return {}


def read(path: Path, content: Content) -> Predict:
    """A copy of the network with the weights of the file."""
    network = copy.deepcopy(content.network)
    network.load_state_dict(safetensors.torch.load_file(path))

    def predict(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(inputs)

    return predict


def as_texts(facts: dict[str, Any]) -> dict[str, str]:
    """Facts for a format whose metadata are texts by name."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
