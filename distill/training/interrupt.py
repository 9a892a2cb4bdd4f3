"""Stopping politely: the first signal finishes the step and saves, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training stopped by a signal after its checkpoint was written.

    Args:
        number: The signal.
    """

    def __init__(self, number: int):
        self.number = number
        super().__init__(signal.Signals(number).name)


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
    """Turns SIGINT and SIGTERM into a request that the loop reads between steps.

    Outside the main thread, where Python allows no handlers, signals keep their usual effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.number = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
