"""Everything that the command line prints: results on stdout, messages on stderr.

Names and labels come from outside: what a terminal would obey is made visible, so that no file name can move the cursor or pass for another
line. Where nobody reads any more (`| head -1`, a closed stdout), the work goes on in silence.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from sam2_adapter.errors import Sam2AdapterError
from sam2_adapter.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress

# Our own messages indent the lines after the first one; any other line break comes from a name.
_OWN_LINE_BREAK = re.compile(r"\n(?=  )")

# What writing to a pipe gives whose reader has gone.
_READER_IS_GONE = (errno.EPIPE, errno.EINVAL) if os.name == "nt" else (errno.EPIPE,)


class OutputError(Sam2AdapterError):
    """A result or a message cannot be printed, for instance because the disk behind stdout is full."""


# The bars that are on the terminal now: lines are printed above them.
_bars: Progress | None = None


def say(*lines: object) -> None:
    """Print lines of a result on stdout."""
    for line in lines:
        _print_line(printable(line), to_stdout=True)


def tell(*lines: object) -> None:
    """Print lines for people on stderr."""
    for line in lines:
        _print_line(printable(line), to_stdout=False)


def print_error(message: object) -> None:
    """Print one message about a failure on stderr."""
    tell_message(f"error: {message}")


def warn(message: object) -> None:
    """Print one message on stderr that asks for attention but stops nothing."""
    tell_message(f"warning: {message}")


def tell_message(message: str) -> None:
    """Print a message on stderr whose lines after the first one are indented."""
    tell(*_OWN_LINE_BREAK.split(message))


def print_json(document: Any) -> None:
    """Print one machine-readable document on stdout."""
    write_json_text(json_text(document, indent=2) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that stdout can show: escaped where its encoding, or UTF-8, has no such character."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
        text.encode(_encoding(sys.stdout))
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def write_json_text(text: str) -> None:
    """Write a part of a document on stdout, at once."""
    _write(sys.stdout, text)


@contextmanager
def lines_above(bars: Progress) -> Iterator[None]:
    """Show bars on the terminal; what is printed meanwhile stands above them."""
    global _bars
    with bars:
        before, _bars = _bars, bars
        try:
            yield
        finally:
            _bars = before


def show_any_character() -> None:
    """Let stdout and stderr escape what their encoding cannot show, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what waits, so that a failure shows here and not while Python ends.

    Raises:
        OutputError: it cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        _write(stream, "")


@contextmanager
def printed_by_others() -> Iterator[None]:
    """Treat output that somebody else prints on stdout, such as the help texts, like our own."""
    try:
        yield
    except OSError as error:
        _give_up(sys.stdout, error)


def _print_line(line: str, *, to_stdout: bool) -> None:
    stream = sys.stdout if to_stdout else sys.stderr
    # The bars are on stderr; stdout is in their way only where it is a terminal too.
    if _bars is not None and (not to_stdout or (stream is not None and stream.isatty())):
        from rich.text import Text

        _bars.console.print(Text(line), soft_wrap=True)
    else:
        _write(stream, f"{line}\n")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed before the program started
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _give_up(stream, error)


def _give_up(stream: TextIO | None, error: OSError) -> None:
    _let_go(stream)
    if error.errno not in _READER_IS_GONE:
        raise OutputError(f"the output cannot be written: {error.strerror or error}") from error


def _let_go(stream: TextIO | None) -> None:
    """Send what would still be written nowhere; Python would complain at its end about what it cannot write."""
    if stream is None:
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"
