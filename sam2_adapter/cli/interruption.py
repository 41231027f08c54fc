"""Ctrl-C and SIGTERM while a command works: both end it in good order, with the exit status that shells expect."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# Shells report a process that a signal ended as this plus the signal's number.
_SIGNAL_STATUS = 128

INTERRUPTED = _SIGNAL_STATUS + signal.SIGINT


@dataclass
class Interruption:
    """Which signal asked the command to end."""

    signal_number: int = signal.SIGINT

    @property
    def exit_status(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM."""
        return _SIGNAL_STATUS + self.signal_number


@contextmanager
def sigterm_like_ctrl_c() -> Iterator[Interruption]:
    """Raise `KeyboardInterrupt` on SIGTERM too, as process managers and schedulers send it before they kill."""
    interruption = Interruption()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interruption.signal_number = number
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGTERM, before)


def end_at_once_on_ctrl_c() -> None:
    """Let another Ctrl-C end the process without a word; the work is done, and Python only puts itself away."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
