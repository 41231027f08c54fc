"""What all commands share: exit statuses, the options of all, logging, and one message for what went wrong.

Exit status 0: all went well. 1: an input failed, or the work could not be done. 2: the command line or a setting is wrong, or names a place
for results that must not be written to, and nothing was begun. 130 and 143: Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, NoReturn, ParamSpec, TypeVar

import typer

from sam2_adapter.cli.interruption import INTERRUPTED
from sam2_adapter.cli.output import print_error, print_json, tell_message
from sam2_adapter.download_progress import Advance, watch_downloads
from sam2_adapter.errors import ConfigError, OutputExistsError, Sam2AdapterError, was_interrupted
from sam2_adapter.files import reason_of
from sam2_adapter.text import cut

OK = 0
FAILED = 1
USAGE = 2

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say on stderr what is read, what runs the model, and how long it takes."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="On an error, print the Python traceback.")]

logger = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")


class UsageError(Sam2AdapterError):
    """The command line itself is wrong: options that exclude each other, a value that cannot be read."""


def one_clear_message(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn the errors of a command into one message on stderr and an exit status; with `--debug` let them through."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        as_json = bool(kwargs.get("as_json"))
        watch_downloads(_download_bar)
        set_up_logging(verbose=bool(kwargs.get("verbose")), debug=bool(kwargs.get("debug")))
        started = time.monotonic()
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            exit_with_message("interrupted.", INTERRUPTED, as_json=as_json)
        except Exception as error:
            if was_interrupted(error):
                exit_with_message("interrupted.", INTERRUPTED, as_json=as_json)
            if kwargs.get("debug"):
                raise
            exit_with_message(text_of(error), status_of(error), as_json=as_json)
        finally:
            logger.info("%s took %.1f s", command.__name__, time.monotonic() - started)

    return wrapped


def set_up_logging(*, verbose: bool = False, debug: bool = False) -> None:
    """Send the package's log to stderr: warnings, with `verbose` what is done, with `debug` everything."""
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    handler = _TerminalHandler()
    handler.setFormatter(_LevelFormatter())
    package = logging.getLogger("sam2_adapter")
    package.handlers = [handler]
    package.setLevel(level)
    package.propagate = False


def status_of(error: Exception) -> int:
    """The exit status of a command that ended with an error."""
    return USAGE if isinstance(error, UsageError | ConfigError | OutputExistsError) else FAILED


def exit_with_message(text: str, status: int, *, as_json: bool) -> NoReturn:
    """End the command with one message on stderr, and one document on stdout where machines read it."""
    print_error(text)
    if as_json:
        print_json({"error": text, "exit_status": status})
    raise typer.Exit(status)


class _TerminalHandler(logging.Handler):
    """Prints on whatever stderr is at the moment, above the progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        tell_message(self.format(record))


class _LevelFormatter(logging.Formatter):
    """`warning: text`, in the form of the error messages."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


def _download_bar(name: str, done: int, total: int | None) -> AbstractContextManager[Advance]:
    from sam2_adapter.cli.progress import download_bar  # rich is slow to import

    return download_bar(name, done, total)


def text_of(error: Exception) -> str:
    """What is said about an error."""
    if isinstance(error, Sam2AdapterError):
        return str(error)
    reason = str(error).strip() or "no further explanation"
    if isinstance(error, OSError):
        return f"{cut(str(error.filename), 200)}: {reason_of(error)}." if error.filename else reason
    return f"unexpected {type(error).__name__}: {reason}. Run the command with --debug and report what it prints."
