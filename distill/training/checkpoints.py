"""When the state of a training is written, and what happens when it cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.errors import CheckpointError
from distill.training import checkpoint

# An epoch shorter than this is cheaper to repeat than to save.
_SECONDS_BETWEEN = 1.0
_SHARE_OF_TIME = 0.05


class Checkpoints:
    """The checkpoint of one training, again and again.

    Args:
        path: The file.
        minutes: Longest time between two of them.
        warn: Is told what cannot be read or written.
    """

    def __init__(self, path: Path, minutes: float, warn: Callable[[str], None]):
        self.path = path
        self._longest = minutes * 60
        self._pause = _SECONDS_BETWEEN
        self._warn = warn
        self._warned = False
        self._latest = time.monotonic()

    def due(self, epoch_ended: bool) -> bool:
        """Whether it is time for the next one."""
        since = time.monotonic() - self._latest
        return since > (min(self._pause, self._longest) if epoch_ended else self._longest)

    def read(self) -> dict[str, Any] | None:
        """The state that was written, or `None` when there is none to continue from."""
        return checkpoint.load(self.path, self._warn)

    def write(self, state: dict[str, Any], last: bool) -> None:
        """Writes the state.

        Args:
            state: As for `checkpoint.save`.
            last: Whether training ends here, so that what is not written is lost. Otherwise it goes on without: its
                state is whole, and a full disk may have room again before the network is done.

        Raises:
            CheckpointError: The last one cannot be written.
        """
        began = time.monotonic()
        try:
            checkpoint.save(self.path, state)
        except CheckpointError as error:
            if last:
                raise
            if not self._warned:
                self._warn(f"{error} Training goes on without it.")
            self._warned = True
        self._latest = time.monotonic()
        self._pause = max(_SECONDS_BETWEEN, (self._latest - began) / _SHARE_OF_TIME)
