"""What all commands share: messages, exit statuses and machine-readable output.

Exit status 0: all went well. 1: an input failed, or the work could not be done. 2: the command line itself is wrong.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from sam2_adapter.errors import Sam2AdapterError

OK = 0
FAILED = 1
USAGE = 2

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr about what is done.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="On an error, print the Python traceback.")]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class UsageError(Sam2AdapterError):
    """The command line itself is wrong: options that exclude each other, a value that cannot be read."""


def one_clear_message(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn the errors of a command into one message on stderr and an exit status; with `--debug` let them through."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        set_up_logging(verbose=bool(kwargs.get("verbose")), debug=bool(kwargs.get("debug")))
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, KeyboardInterrupt):
            raise
        except Exception as error:
            if kwargs.get("debug"):
                raise
            _exit_with(error, as_json=bool(kwargs.get("as_json")))

    return wrapped


def set_up_logging(*, verbose: bool = False, debug: bool = False) -> None:
    """Send the package's log to stderr: warnings, with `verbose` what is done, with `debug` everything."""
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    handler = _EchoHandler()
    handler.setFormatter(_LevelFormatter())
    package = logging.getLogger("sam2_adapter")
    package.handlers = [handler]
    package.setLevel(level)
    package.propagate = False


def print_error(message: object) -> None:
    """Print one message about a failure on stderr."""
    typer.echo(f"error: {message}", err=True)


def warn(message: object) -> None:
    """Print one message on stderr that asks for attention but stops nothing."""
    typer.echo(f"warning: {message}", err=True)


def print_json(document: Any) -> None:
    """Print one machine-readable document on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


class _EchoHandler(logging.Handler):
    """Prints to whatever stderr is at the moment, so that a line and a progress bar do not write over each other."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(self.format(record), err=True)


class _LevelFormatter(logging.Formatter):
    """`warning: text`, in the form of the error messages."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


def _exit_with(error: Exception, *, as_json: bool) -> NoReturn:
    status = USAGE if isinstance(error, UsageError) else FAILED
    text = str(error) if isinstance(error, Sam2AdapterError) else _unexpected(error)
    print_error(text)
    if as_json:
        print_json({"error": text, "exit_status": status})
    raise typer.Exit(status)


def _unexpected(error: Exception) -> str:
    reason = str(error).strip() or "no further explanation"
    if isinstance(error, OSError):
        return reason
    return f"unexpected {type(error).__name__}: {reason}. Run the command with --debug and report what it prints."
