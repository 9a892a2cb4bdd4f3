"""How long the command takes to begin: seconds before it does what it was asked for.

    python scripts/bench_startup.py [--runs 10]

Each command is a process of its own, run in turn with the others so that a busy machine slows all of them alike, after
one run each that is not counted (it fills the disk cache). Wall is what one waits; CPU is user and system time of the
process with its threads, and hardly depends on what else the machine does. The yardstick is `import torch` alone,
which a command that trains cannot do without. The smoke run trains, with an empty store, three tiny networks for two
epochs, and with a full one none.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_DISTILL = (sys.executable, "-m", "distill")
_SMOKE = (*_DISTILL, "train", "hparams=smoke", "verbosity=quiet")
_COMPLETION = {"COMP_LINE": "distill train method=h", "COMP_POINT": "22"}


@dataclass
class _Command:
    """One row of the table.

    Attributes:
        name: How the table calls it.
        words: The command line.
        environment: What is added to that of this process.
        cold: Whether it is to find no store.
        wall: Seconds of each run.
        cpu: Seconds of each run.
    """

    name: str
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    cold: bool = False
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, folder: Path) -> None:
        if self.cold:
            shutil.rmtree(folder / "outputs", ignore_errors=True)
        before, began = _cpu(), time.perf_counter()
        done = subprocess.run(
            self.words, cwd=folder, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(_cpu() - before)
        if done.returncode:
            sys.exit(f"{self.name} failed:\n{done.stderr}")


def _cpu() -> float:
    """Seconds of all processes that this one began and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _commands() -> list[_Command]:
    return [
        _Command("python -c pass", (sys.executable, "-c", "pass")),
        _Command("python -c 'import torch'", (sys.executable, "-c", "import torch")),
        _Command("distill --help", (*_DISTILL, "--help")),
        _Command("distill list models", (*_DISTILL, "list", "models")),
        _Command("distill train --cfg job", (*_DISTILL, "train", "--cfg", "job")),
        _Command("completion of method=h", (*_DISTILL, "-sc", "query=bash"), _COMPLETION),
        _Command("smoke run, empty store", _SMOKE, cold=True),
        _Command("smoke run, full store", _SMOKE),
    ]


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def main() -> None:
    """Prints a table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="runs of each command")
    runs = parser.parse_args().runs
    commands = _commands()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + runs):
            for command in commands:
                command.run(Path(folder))

    console = Console(width=120)
    console.print(f"{_processor()}, {os.cpu_count()} cores, {platform.platform()}", highlight=False)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "hydra-core", "pandas"))
    console.print(f"Python {platform.python_version()}, {packages}; median (lowest) of {runs} runs", highlight=False)
    torch = statistics.median(commands[1].cpu[1:])
    table = Table(box=SIMPLE)
    for heading in ("command", "wall, s", "CPU, s", "CPU of `import torch`"):
        table.add_column(heading, justify="left" if heading == "command" else "right", no_wrap=True)
    for command in commands:
        seconds = [f"{statistics.median(kind[1:]):.2f} ({min(kind[1:]):.2f})" for kind in (command.wall, command.cpu)]
        table.add_row(command.name, *seconds, f"{statistics.median(command.cpu[1:]) / torch:.2f}x")
    console.print(table)


if __name__ == "__main__":
    main()
