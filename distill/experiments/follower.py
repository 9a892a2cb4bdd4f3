"""Processes that train along with the first one, started by `torchrun`: they leave no files and say nothing."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distill.errors import CheckpointError, DataError, DeviceError, DistillError, TrainingError
from distill.training import torchrun

_MISTAKE, _SIGNALLED = 2, 128
_PATIENCE = 10.0  # seconds that the first process has to say what is wrong, before this one ends and ends it
# What one process may meet alone; of the rest the first one tells.
_OWN = (CheckpointError, DataError, DeviceError, TrainingError)


@contextmanager
def following(words: list[str]) -> Iterator[list[str]]:
    """Keeps a process that follows from doing what the first one does for all; in others nothing changes.

    What ends all of them with a sentence is told by the first one alone; a bug shows its traceback.

    Args:
        words: The command line after `distill train`.

    Yields:
        The words to go by: what is left behind goes to a folder that is removed at the end.
    """
    if torchrun.rank() == 0:
        yield words
        return
    here, streams = Path.cwd(), (sys.stdout, sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = {stream.fileno(): os.dup(stream.fileno()) for stream in streams}
    with tempfile.TemporaryDirectory(prefix="distill-") as folder:
        for stream in streams:
            stream.flush()
            os.dup2(nowhere, stream.fileno())
        try:
            yield [*words, f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep"]
        except DistillError as error:
            if isinstance(error, _OWN) and not getattr(error, "told", False):
                os.write(kept[sys.stderr.fileno()], f"distill: process {torchrun.rank()}: {error}\n".encode())
            else:
                with suppress(KeyboardInterrupt):  # torchrun stops all processes when one has ended
                    time.sleep(_PATIENCE)
            sys.exit(_MISTAKE)
        except KeyboardInterrupt as error:
            sys.exit(_SIGNALLED + getattr(error, "number", 2))
        finally:
            for stream in streams:
                stream.flush()
                os.dup2(kept[stream.fileno()], stream.fileno())
            os.chdir(here)
