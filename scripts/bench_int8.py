"""How long a network takes in fp32 and in int8 once torch's inductor has compiled it, on one CPU thread.

    python scripts/bench_int8.py [--repeats 40] [--only resnet8]

Needs torchao (`pip install 'distill[qat]'`) and a C++ compiler. Networks have fresh weights, pictures are 28x28 and
grey, and convolutions of fp32 lie with channels last. Settings are interleaved, so that a busy machine slows all of
them alike; printed are the median and the least of the times.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from _machine import say_where
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch._inductor import config as inductor

from distill.models import models
from distill.models.quantized import calibrated

# Model and its options.
_CASES = {
    "cnn-16-32": ("cnn", {"channels": [16, 32], "hidden": 64}),
    "resnet8": ("resnet", {"depth": 8, "widths": [16, 16, 32, 64]}),
    "resnet8x4": ("resnet", {"depth": 8, "widths": [32, 64, 128, 256]}),
}
_SHAPE, _BATCHES, _CALIBRATION = (1, 28, 28), (1, 64), 64


def _compiled(network: nn.Module, size: int) -> Callable[[Tensor], Tensor]:
    torch._dynamo.reset()
    program = torch.compile(network, dynamic=False)
    program(torch.randn(size, *_SHAPE))
    return program


def _times(name: str, repeats: int) -> dict[tuple[str, int], list[float]]:
    """Milliseconds of each pass, by number format and batch size."""
    model, options = _CASES[name]
    entry = models.find(model)
    plain = entry.factory(entry.options(name=model, **options), _SHAPE, 10).eval()
    whole = calibrated(plain, torch.randn(_CALIBRATION, *_SHAPE)).eval()
    plain.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    networks = {"fp32": plain, "int8": whole}
    programs = {(kind, size): _compiled(network, size) for kind, network in networks.items() for size in _BATCHES}
    times: dict[tuple[str, int], list[float]] = {setting: [] for setting in programs}
    for _ in range(repeats):
        for setting, program in programs.items():
            inputs = torch.randn(setting[1], *_SHAPE)
            program(inputs)
            began = time.perf_counter()
            program(inputs)
            times[setting].append(1e3 * (time.perf_counter() - began))
    return times


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--only", choices=_CASES)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    inductor.freezing = True  # weights become constants, without which nothing is made of integers
    warnings.simplefilter("ignore")  # of the compiler, about its own code
    table = Table("network", "batch", "fp32 ms", "int8 ms", "times faster", box=SIMPLE)
    with torch.no_grad():
        for name in [asked.only] if asked.only else _CASES:
            times = _times(name, asked.repeats)
            for size in _BATCHES:
                middle = {kind: statistics.median(times[kind, size]) for kind in ("fp32", "int8")}
                cells = [f"{middle[kind]:.2f} (least {min(times[kind, size]):.2f})" for kind in ("fp32", "int8")]
                table.add_row(name, str(size), *cells, f"{middle['fp32'] / middle['int8']:.1f}")
    console = Console()
    console.print(table)
    say_where(console, f"medians and least of {asked.repeats} passes after one each, milliseconds, one thread")


if __name__ == "__main__":
    main()
