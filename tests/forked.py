"""`distill train` in a process of its own, forked from one that has imported everything already.

Importing torch and what it brings takes five seconds of a processor, a tiny run takes one. Signals, locks, exit codes
and open files are those of any process.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

PRELOADED = [
    "torch._dynamo",  # by the first optimiser
    "torch.distributed.launcher.api",
    "distill.experiments.launch",
    "distill.experiments.run",
    "distill.results.report",
    "matplotlib.backends.backend_agg",
]


class Forked:
    """As much of `subprocess.Popen` as tests need.

    Args:
        words: What follows `distill train` on the command line.
        folder: Where it runs.
        processes: That share the run, begun and watched as by torchrun; all that they say is read then, and otherwise
            standard error alone.

    Attributes:
        said: What it says, line by line.
    """

    def __init__(self, words: Sequence[str], folder: Path, processes: int = 1):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        reader, writer = context.Pipe(duplex=False)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = context.Process(target=_begin, args=(words, str(folder), processes, environment, writer))
        self._process.start()
        writer.close()
        self.said = open(os.dup(reader.fileno()), encoding="utf-8")  # noqa: SIM115
        reader.close()

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the number of the signal that ended it; `None` while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def ended(self) -> str:
        """What it said until its end, but for the lines that were read before."""
        with self.said:
            said = self.said.read()
        self._process.join()
        return said


def _begin(words: Sequence[str], folder: str, processes: int, environment: dict[str, str], pipe: Connection) -> None:
    """What the process does."""
    import torch
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from distill import cli

    torch.set_num_threads(1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno() if processes == 1 else pipe.fileno(), 1)
    os.dup2(pipe.fileno(), 2)
    pipe.close()
    atexit._clear()  # what was registered by the process that this one was forked from
    sys.argv = ["distill", "train", *words]
    try:
        if processes == 1:
            cli.main()
        else:
            torchrun = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "max_restarts": 0}
            elastic_launch(LaunchConfig(1, 1, processes, start_method="fork", **torchrun), cli.main)()
    finally:
        # As any process ends, and one of multiprocessing does not: it would wait for what these two stop.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
