"""The formats there are, and what each needs; the code of a format is imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from distill.config.words import did_you_mean
from distill.errors import DistillError
from distill.export.content import Content, Predict


class Format(Protocol):
    """What the file of a format defines."""

    def write(self, content: Content, path: Path) -> dict[str, Any]:
        """Writes the file; what is known of it only now comes back."""
        ...

    def read(self, path: Path, content: Content) -> Predict:
        """The network of the file: from inputs `[batch, ...]` float32 to logits `[batch, classes]`, on the CPU."""
        ...


@dataclass(frozen=True)
class Kind:
    """What is known of a format without its code.

    Attributes:
        suffix: How the names of its files end.
        packages: What it needs that distill does without.
        graph: Whether it holds what is computed; else weights alone.
        quantizes: Whether it can be written in int8.
    """

    suffix: str
    packages: tuple[str, ...] = ()
    graph: bool = True
    quantizes: bool = False


KINDS = {
    "onnx": Kind(".onnx", ("onnx", "onnxruntime", "onnxscript"), quantizes=True),
    "torchscript": Kind(".pt"),
    "pt2": Kind(".pt2"),
    "safetensors": Kind(".safetensors", graph=False),
}


def named(text: str) -> tuple[str, ...]:
    """The formats of a list such as `onnx,pt2`, each once.

    Raises:
        DistillError: One of them is not there, or a package that it needs.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in KINDS:
            hint = did_you_mean(name, KINDS)
            raise DistillError(f"--format {name!r} is not allowed{hint}: it must be one or more of {', '.join(KINDS)}.")
        missing = [package for package in KINDS[name].packages if importlib.util.find_spec(package) is None]
        if missing:
            raise DistillError(f"--format {name} needs {missing[0]}, an extra: pip install 'distill[{name}]'.")
    return names


def find(name: str) -> Format:
    """The code of a format, one of `KINDS`."""
    return cast(Format, importlib.import_module(f"distill.export.{name}"))
