"""Progress of long work on stderr: a bar on a terminal, a dated line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from sam2_adapter.cli.output import lines_above, tell

if TYPE_CHECKING:
    from rich.progress import Progress

# In a log file, progress is told no more often than this.
SECONDS_BETWEEN_LINES = 30.0

# The time left is estimated from this many seconds.
_SECONDS_OF_SPEED = 30.0

# Told how much of how much is done.
Advance = Callable[[int, int], None]


def terminal_bars(speed_seconds: float = _SECONDS_OF_SPEED) -> Progress | None:
    """Bars for stderr, to be shown with `lines_above`; `None` where stderr is no terminal.

    Args:
        speed_seconds: the time left is estimated from the last so many seconds; more where one step takes long.
    """
    if not _is_terminal():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Names of files are shown, in which brackets are no markup.
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        speed_estimate_period=speed_seconds,
    )


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show how far `what` is: the result is called with the steps done and all steps."""
    bars = terminal_bars()
    if bars is None:
        yield _Log(what).advance
        return
    task = bars.add_task(what, total=None)
    with lines_above(bars):
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def download_bar(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a download on a terminal, and nothing elsewhere; see `sam2_adapter.download_progress`."""
    if not _is_terminal():
        yield lambda num_bytes: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, completed=done, total=total)
        yield lambda num_bytes: bars.advance(task, num_bytes)


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def dated_line(text: str) -> None:
    """Print one line of a log on stderr, with the time."""
    tell(f"{datetime.now().isoformat(' ', 'seconds')} {text}")


class _Log:
    """Dated lines, not too many."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last_line = time.monotonic()

    def advance(self, done: int, total: int) -> None:
        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            dated_line(f"{self._what}: {done}/{total}")
