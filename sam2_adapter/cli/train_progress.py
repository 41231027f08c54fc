"""What `train` shows on stderr while it works: a growing table and bars on a terminal, dated lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sam2_adapter.cli.output import lines_above, tell_message
from sam2_adapter.text import plural

if TYPE_CHECKING:
    from sam2_adapter.formats.load import Dataset
    from sam2_adapter.training.events import Event
    from sam2_adapter.training.records import EpochRecord

# In a log file, what goes on within an epoch is told no more often than this.
_SECONDS_BETWEEN_LINES = 30.0

# Epochs may take minutes: the time left is estimated from this many seconds.
_SECONDS_OF_SPEED = 1800.0

_COLUMNS: tuple[tuple[str, int, Callable[[EpochRecord], float | int | None], str], ...] = (
    ("epoch", 5, lambda record: record.epoch, "d"),
    ("loss", 7, lambda record: record.loss, ".4f"),
    ("boxes", 6, lambda record: record.miou_box, ".4f"),
    ("1 click", 8, lambda record: record.miou_click, ".4f"),
    ("5 clicks", 8, lambda record: record.miou_clicks, ".4f"),
    ("20 clicks", 9, lambda record: record.miou_20_clicks, ".4f"),
    ("mean IoU", 8, lambda record: record.score, ".4f"),
    ("seconds", 7, lambda record: record.training_seconds + record.evaluation_seconds, ".1f"),
)


class TrainProgress:
    """Told by a run how far it is; this one prints dated lines. A context manager."""

    def __init__(self, num_epochs: int) -> None:
        """Nothing is done yet of at most `num_epochs` epochs."""
        self.num_epochs = num_epochs
        self.data: Dataset | None = None
        self._last_line = time.monotonic()
        self._part_name = ""
        self._part_start = (0.0, 0)

    def show(self, event: Event) -> None:
        """Show what a run tells."""
        from sam2_adapter.training.events import DataRead, EpochEnded, Work

        if isinstance(event, DataRead):
            self.show_data(event.dataset)
        elif isinstance(event, EpochEnded):
            self.end_epoch(event.record)
        elif isinstance(event, Work):
            self.advance(event.what, event.done, event.total)

    def show_data(self, dataset: Dataset) -> None:
        """Say what the data set holds, what was made of it and what was left out."""
        self.data = dataset
        for split, samples in dataset.splits.items():
            num_objects = sum(len(sample.objects) for sample in samples)
            self.line(f"{split}: {plural(len(samples), 'image')}, {plural(num_objects, 'object')}")
        for note in dataset.notes:
            self.line(note)
        if dataset.left_out:
            self.line(f"left out:\n{dataset.left_out}")

    def advance(self, what: str, done: int, total: int) -> None:
        """Take note of how far a part of the work is."""
        now = time.monotonic()
        if what != self._part_name:
            self._part_name, self._part_start = what, (now, done)
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            started, done_before = self._part_start
            speed = (done - done_before) / (now - started) if now > started else 0.0
            rest = f", {_duration((total - done) / speed)} left" if speed and done < total else ""
            self.line(f"{what}: {done}/{total}{rest}")

    def end_epoch(self, record: EpochRecord) -> None:
        """Show the figures of an epoch."""
        left = self.num_epochs - record.epoch
        seconds = record.training_seconds + record.evaluation_seconds
        rest = f", at most {_duration(left * seconds)} left" if record.epoch and left else ""
        self.line(f"{_figures(record)}{rest}")

    def line(self, text: str) -> None:
        """Print one line, or a message of several."""
        self._last_line = time.monotonic()
        tell_message(f"{datetime.now().isoformat(' ', 'seconds')} {text}")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to take away."""


class TerminalProgress(TrainProgress):
    """A table that grows line by line above two bars: what is being done, and the whole run."""

    def __init__(self, num_epochs: int, console: Console) -> None:
        """Show the bars on `console`."""
        super().__init__(num_epochs)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=console, transient=True, speed_estimate_period=_SECONDS_OF_SPEED)
        self._part = self._bars.add_task("reading the data", total=None)
        self._run = self._bars.add_task("epochs", total=num_epochs)
        self._has_header = False
        self._open = ExitStack()

    def advance(self, what: str, done: int, total: int) -> None:
        """Move the bar of the part of the work."""
        if what != self._part_name:
            self._bars.reset(self._part, description=what, total=total)
            self._part_name = what
        self._bars.update(self._part, completed=done)

    def end_epoch(self, record: EpochRecord) -> None:
        """Add a line to the table and move the bar of the run."""
        if not self._has_header:
            self.line("".join(title.rjust(width + 2) for title, width, _, _ in _COLUMNS))
            self._has_header = True
        cells = (_cell(value(record), spec).rjust(width + 2) for _, width, value, spec in _COLUMNS)
        self.line("".join(cells) + ("  best" if record.is_best else ""))
        self._bars.update(self._run, completed=record.epoch)

    def __enter__(self) -> Self:
        """Show the bars."""
        self._open.enter_context(lines_above(self._bars))
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bars away; the table stays."""
        self._open.close()


def make_progress(num_epochs: int) -> TrainProgress:
    """The progress for this stderr; of several processes that share a terminal the first one has the bars."""
    from sam2_adapter.training.events import is_first_process

    console = Console(stderr=True)
    has_bars = console.is_terminal and is_first_process()
    return TerminalProgress(num_epochs, console) if has_bars else TrainProgress(num_epochs)


def _figures(record: EpochRecord) -> str:
    cells = (f"{title} {_cell(value(record), spec)}" for title, _, value, spec in _COLUMNS)
    return ", ".join(cells) + (" (best)" if record.is_best else "")


def _cell(value: float | int | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
