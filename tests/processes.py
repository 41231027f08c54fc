"""Commands in processes of their own that start with everything imported: a test pays for the work of its command only.

A server process imports once and has never computed anything; each command is a fork of it, with outputs, signals and an end of its own. How a
command really starts, imports included, is tested in tests/cli/test_start.py.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.command_line import Run

ROOT = Path(__file__).parents[1]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded"])


def ready() -> None:
    """Start the server where it does not run; it finds the modules of the tests from the folder in which it starts."""
    with contextlib.chdir(ROOT):
        forkserver.ensure_running()


@dataclass(frozen=True)
class Command:
    """A command under way, whose outputs go to files."""

    process: ForkServerProcess
    stdout: Path
    stderr: Path

    def is_running(self) -> bool:
        return self.process.exitcode is None

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self, timeout: float = 120) -> Run:
        """Wait for its end."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, "the command does not end"
        return Run(self.process.exitcode, self.stdout.read_text("utf-8"), self.stderr.read_text("utf-8"))

    def messages(self) -> Iterator[str]:
        """Its lines on stderr as they come, until it ends."""
        with self.stderr.open(encoding="utf-8") as file:
            line = ""
            while True:
                is_running = self.is_running()
                line += file.readline()
                if line.endswith("\n"):
                    yield line
                    line = ""
                elif not is_running:
                    return
                else:
                    time.sleep(0.005)


def start(*arguments: object, short_click_curve: bool = False) -> Command:
    """Start a command as `sam2-adapter ARGUMENTS` would.

    Args:
        arguments: its words.
        short_click_curve: runs measure as with `tests.training.small_run.click_curve`.
    """
    ready()
    folder = Path(tempfile.mkdtemp(prefix="command-", dir=os.environ["SAM2_ADAPTER_TEST_FILES"]))
    outputs = folder / "stdout", folder / "stderr"
    for path in outputs:
        path.touch()
    words = [str(argument) for argument in arguments]
    target = _run_with_short_click_curve if short_click_curve else _run
    process = CONTEXT.Process(target=target, args=(words, str(Path.cwd()), dict(os.environ), *map(str, outputs)))
    process.start()
    return Command(process, *outputs)


def _run_with_short_click_curve(*arguments: Any) -> None:
    from tests.training.small_run import click_curve

    with click_curve():
        _run(*arguments)


def _run(words: list[str], folder: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    import torch

    from sam2_adapter.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
    sys.argv = ["sam2-adapter", *words]
    main()
