"""What each method is held to: numbers of its authors' code, and what its formula implies.

Files named `check_*.py` beside the tests give both. `tests/reference/test_reference.py` runs the first kind and
`tests/methods/test_invariants.py` the second; `tests/methods/test_every_method.py` wants one for every method.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TESTS = Path(__file__).parent
REFERENCE = TESTS / "reference"


@cache
def index() -> dict[str, Any]:
    """What each file of reference numbers holds, whose code computed it, and how close fp32 must come."""
    return json.loads((REFERENCE / "index.json").read_text(encoding="utf-8"))


class Vectors:
    """The inputs of one reference file: `vectors["logits_s"]` is a leaf in fp32, with gradient where one is known.

    Attributes:
        hyper: Its hyperparameters.
    """

    def __init__(self, key: str):
        self.entry = index()[key]
        self.hyper: dict[str, Any] = self.entry["hyperparameters"]
        with np.load(REFERENCE / f"{key}.npz") as arrays:
            self.arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        wanted = {name.split("__")[2] for name in self.arrays if name.startswith("grad__")}
        self._leaves = {
            name: value.requires_grad_(name in wanted)
            for name, value in self.arrays.items()
            if not name.startswith(("out__", "grad__", "aux__"))
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._leaves[name]

    def aux(self, name: str) -> Tensor:
        """An extra array that the authors' code left, such as an updated memory."""
        return self.arrays[f"aux__{name}"]


@dataclass(frozen=True)
class Check:
    """Our numbers for one reference file.

    Attributes:
        key: The file.
        methods: Which methods it stands for; none for a loss that no method has.
        compute: Our value of each of its outputs, by name.
        without: Outputs that we do not compute, with the reason.
    """

    key: str
    methods: tuple[str, ...]
    compute: Callable[[Vectors], dict[str, Tensor]]
    without: dict[str, str]


CHECKS: dict[str, Check] = {}
INVARIANTS: dict[str, list[Callable[[], None]]] = {}


def reference(key: str, *methods: str, without: dict[str, str] | None = None) -> Callable[[Any], Any]:
    """Decorates a function from the inputs of a reference file to our value of each of its outputs."""

    def remember(compute: Callable[[Vectors], dict[str, Tensor]]) -> Any:
        assert key not in CHECKS, key
        CHECKS[key] = Check(key, methods, compute, without or {})
        return compute

    return remember


def invariant(*methods: str) -> Callable[[Any], Any]:
    """Decorates a function that asserts what the formula of these methods implies."""

    def remember(assertion: Callable[[], None]) -> Any:
        for method in methods:
            INVARIANTS.setdefault(method, []).append(assertion)
        return assertion

    return remember


def collect() -> None:
    """Imports every file of checks, once."""
    for path in sorted(TESTS.glob("*/check_*.py")):
        name = f"evidence_{path.parent.name}_{path.stem}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
