"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from sam2_adapter.cli import app


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
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="sam2-adapter")
    # The command line sets the package's logger up; other tests read it with `caplog`.
    package.handlers, package.level, package.propagate = logger_before
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Run(result.exit_code, result.stdout, result.stderr)


def run_process(*arguments: object, cwd: Path | None = None) -> Run:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "sam2_adapter", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    return Run(done.returncode, done.stdout, done.stderr)
