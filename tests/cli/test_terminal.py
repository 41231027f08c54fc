"""What all commands share: one message for what went wrong, its exit status, and how much is said."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

import pytest
import typer

from sam2_adapter.cli.terminal import UsageError, one_clear_message, set_up_logging, status_of
from sam2_adapter.download_progress import watch_downloads, watched
from sam2_adapter.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ExportError,
    FolderInUseError,
    ImageError,
    OutputExistsError,
    PromptError,
)


@pytest.fixture(autouse=True)
def _logger_as_before() -> object:
    package = logging.getLogger("sam2_adapter")
    before = package.handlers, package.level, package.propagate
    yield
    package.handlers, package.level, package.propagate = before


def _failing_with(error: BaseException) -> Callable[..., None]:
    @one_clear_message
    def command(*, as_json: bool = False, debug: bool = False, verbose: bool = False) -> None:
        raise error

    return command


def _interrupted_import() -> Exception:
    """What a compiled module raises that Ctrl-C stopped while it was imported."""
    error = ImportError("multiarray failed to import")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (UsageError("--a and --b exclude each other."), 2, "--a and --b exclude each other."),
        (ConfigError("seed = -1 is not allowed."), 2, "seed = -1 is not allowed."),
        (DataError("d: no such folder."), 1, "d: no such folder."),
        (PermissionError(13, "Permission denied", "x"), 1, "x: Permission denied."),
        (ValueError("5"), 1, "unexpected ValueError: 5. Run the command with --debug and report what it prints."),
        (KeyboardInterrupt(), 130, "interrupted."),
        (_interrupted_import(), 130, "interrupted."),
    ],
)
def test_one_message_and_a_status(
    error: BaseException, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught:
        _failing_with(error)()
    assert caught.value.exit_code == status
    assert capsys.readouterr() == ("", f"error: {text}\n")
    with pytest.raises(typer.Exit):
        _failing_with(error)(as_json=True)
    assert json.loads(capsys.readouterr().out) == {"error": text, "exit_status": status}


def test_debug_lets_errors_through() -> None:
    with pytest.raises(DataError):
        _failing_with(DataError("d"))(debug=True)


@pytest.mark.parametrize(
    ("verbose", "debug", "expected"),
    [
        (False, False, ["warning: w"]),
        (True, False, ["info: i", "warning: w"]),
        (False, True, ["debug: d", "info: i", "warning: w"]),
    ],
)
def test_how_much_is_said(verbose: bool, debug: bool, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(verbose=verbose, debug=debug)
    logger = logging.getLogger("sam2_adapter.somewhere")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    assert capsys.readouterr().err.splitlines() == expected


def test_verbose_says_how_long_a_command_took(capsys: pytest.CaptureFixture[str]) -> None:
    @one_clear_message
    def measure(*, verbose: bool) -> None:
        pass

    measure(verbose=True)
    assert capsys.readouterr().err == "info: measure took 0.0 s\n"


def test_a_warning_with_a_name_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging()
    logging.getLogger("sam2_adapter").warning("%s is damaged", "a\nerror: all is lost")
    assert capsys.readouterr().err == "warning: a\\nerror: all is lost is damaged\n"


def test_commands_show_downloads(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @one_clear_message
    def fetch() -> None:
        with watched("weights.pt", 0, 10) as advance:
            advance(10)

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    try:
        fetch()
    finally:
        watch_downloads(None)
    assert "weights.pt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), 2),
        (ConfigError("x"), 2),
        (OutputExistsError("x"), 2),  # another place has to be named
        (FolderInUseError("x"), 1),  # the same command works later
        (ExportError("x"), 1),
        (ImageError("x"), 1),
        (DataError("x"), 1),
        (PromptError("x"), 1),
        (CheckpointError("x"), 1),
        (OSError("x"), 1),
    ],
)
def test_exit_statuses(error: Exception, status: int) -> None:
    assert status_of(error) == status
