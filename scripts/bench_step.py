"""How long one training step takes in fp32 and bf16, with one thread and with all, for networks of any size.

    python scripts/bench_step.py [--steps 30]

This is where the two thresholds come from: below `_CPU_PAYS_FROM` FLOPs `precision=auto` stays in fp32
(distill/training/precision.py), below `_SHARING_PAYS_FROM` one thread is used (distill/training/device.py).
Settings are interleaved step by step, so that a busy machine slows all of them alike; medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import product

import torch
import torch.nn.functional as F
from _machine import say_where
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from distill.config.model_options import ModelOptions
from distill.config.schema import Hparams
from distill.models import count, models
from distill.training import optimizers
from distill.training.device import resolve
from distill.training.precision import Precision

# Model, its options, input shape, batch size.
_CASES = (
    ("mlp", {"widths": [32]}, (1, 8, 8), 64),
    ("mlp", {"widths": [400]}, (1, 8, 8), 64),
    ("cnn", {"channels": [16, 32], "hidden": 64}, (1, 8, 8), 64),
    ("mlp", {"widths": [400]}, (1, 28, 28), 64),
    ("cnn", {"channels": [16, 32], "hidden": 64}, (1, 28, 28), 64),
    ("mlp", {"widths": [800, 800]}, (1, 28, 28), 64),
    ("mlp", {"widths": [1200, 1200]}, (1, 28, 28), 64),
    ("cnn", {"channels": [64, 128, 256], "hidden": 512}, (1, 28, 28), 64),
    ("resnet", {"depth": 20}, (3, 32, 32), 64),
)
_WARM_UP = 3


class _Step:
    """One setting of one case, ready to take steps."""

    def __init__(self, case: tuple, precision: Precision, threads: int):
        name, options, shape, size = case
        entry = models.find(name)
        self._network = entry.factory(entry.options(name=name, **options), shape, 10).to(precision.device)
        self._optimizer = optimizers.build(self._network.parameters(), Hparams())
        self._inputs = torch.randn(size, *shape, device=precision.device)
        self._labels = torch.randint(0, 10, (size,), device=precision.device)
        self._precision = precision
        self._threads = threads
        self.seconds: list[float] = []

    def take(self) -> None:
        torch.set_num_threads(self._threads)
        began = time.perf_counter()
        with self._precision.autocast():
            logits = self._network(self._inputs)
        self._optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), self._labels).backward()
        self._optimizer.step()
        self.seconds.append(time.perf_counter() - began)


def main() -> None:
    """Prints a table of milliseconds per step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help="steps per setting")
    steps = parser.parse_args().steps
    device = resolve("cpu")
    every = torch.get_num_threads()
    settings = list(product(("fp32", "bf16"), sorted({1, every})))

    console = Console(width=130)
    say_where(console, f"median of {steps} steps, milliseconds", device)
    table = Table(box=SIMPLE)
    for heading in ("network", "inputs", "MFLOPs forward", *(f"{name}, {n} thr." for name, n in settings)):
        table.add_column(heading, justify="left" if heading in ("network", "inputs") else "right", no_wrap=True)
    for case in _CASES:
        name, options, shape, size = case
        entry = models.find(name)
        described = entry.options(name=name, **options)
        work = count.flops(entry.factory(described, shape, 10), shape) * size
        takers = [_Step(case, Precision(precision, device), threads) for precision, threads in settings]
        for _ in range(_WARM_UP + steps):
            for taker in takers:
                taker.take()
        medians = [f"{1e3 * statistics.median(taker.seconds[_WARM_UP:]):.2f}" for taker in takers]
        assert isinstance(described, ModelOptions)
        table.add_row(described.label(), f"{size}x{'x'.join(map(str, shape))}", f"{work / 1e6:.1f}", *medians)
    console.print(table)


if __name__ == "__main__":
    main()
