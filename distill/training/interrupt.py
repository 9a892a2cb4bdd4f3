"""Stopping politely: the first signal finishes the step and saves, the second stops at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_MOVING = [getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """Training stopped by a signal after its checkpoint was written.

    Args:
        number: The signal.
        folder: The run or sweep that can go on, once that is known.
    """

    def __init__(self, number: int, folder: Path | None = None):
        self.number = number
        self.folder = folder
        super().__init__(signal.Signals(number).name)

    def __reduce__(self) -> tuple[type, tuple[int, Path | None]]:
        return type(self), (self.number, self.folder)


@contextmanager
def at_once() -> Iterator[None]:
    """Makes SIGINT and SIGTERM end this block with an exception that knows which it was.

    Raises:
        Interrupted: One of them came.
    """

    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise Interrupted(number)

    try:
        with answering(dict.fromkeys((signal.SIGINT, signal.SIGTERM), stop)):
            yield
    except Exception as error:
        # An import that is broken off may swallow the exception, and what it left half done breaks later.
        if came:
            raise Interrupted(came[0]) from error
        raise
    if came:
        raise Interrupted(came[0])


class Stop:
    """Whether somebody asked to stop, and how.

    Attributes:
        number: The signal that was sent, if any.
    """

    number: int | None = None

    @property
    def asked(self) -> bool:
        """Whether to stop at the next opportunity."""
        return self.number is not None

    def check(self) -> None:
        """Stops if somebody asked to; call it where everything worth keeping is written.

        Raises:
            Interrupted: Somebody asked.
        """
        if self.number is not None:
            raise Interrupted(self.number)


@contextmanager
def polite(stop: Stop) -> Iterator[None]:
    """Turns SIGINT and SIGTERM into a request that the loop reads between steps; a second of a kind stops at once.

    So does SIGUSR1 or SIGUSR2 where somebody listens to it: the launcher of a cluster, which is told by it that the
    job will have to move. Where that launcher has its own idea of SIGTERM as well, it is kept.

    Outside the main thread, where Python allows no handlers, signals keep their usual effect.
    """

    asked: list[float] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(time.monotonic())
        if stop.number == number and asked[-1] - asked[0] > _echo():
            raise Interrupted(number)
        # A terminal sends SIGINT to a sweep and its workers alike, and the sweep SIGTERM to the workers.
        stop.number = stop.number or number

    moving = [number for number in _MOVING if callable(signal.getsignal(number))]
    kept = moving and callable(signal.getsignal(signal.SIGTERM))
    with answering(dict.fromkeys((signal.SIGINT, *moving, *([] if kept else [signal.SIGTERM])), ask)):
        yield


def _echo() -> float:
    """How long the same signal may come again without being meant, seconds: torchrun repeats what a terminal sends."""
    return 2.0 if "TORCHELASTIC_RUN_ID" in os.environ else 0.0


@contextmanager
def answering(handlers: Mapping[int, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    """Answers signals in its own way until the end of the block.

    Args:
        handlers: What each signal calls.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
