"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sam2_adapter import cli


@dataclass(frozen=True)
class Run:
    """Exit status and both outputs of a command."""

    status: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Run:
    """Run a command in this process; an exception that the command line lets through is raised here."""
    package = logging.getLogger("sam2_adapter")
    logger_before = package.handlers, package.level, package.propagate
    with _captured() as (stdout, stderr):
        try:
            status = cli.run([str(argument) for argument in arguments])
        finally:
            # The command line sets the package's logger up; other tests read it with `caplog`.
            package.handlers, package.level, package.propagate = logger_before
    return Run(status, _text(stdout), _text(stderr))


def run_process(*arguments: object, cwd: Path | None = None) -> Run:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "sam2_adapter", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _captured():
    """Two streams like those of a process whose output goes to files."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        yield stdout, stderr


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8")
