"""Processes of the page that take and give lines of JSON: how the server starts and ends one, and the streams on its other side.

The first line tells the process what it is for. It ends when its input does: a server that was killed leaves none behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

Json = dict[str, Any]

# A mask of a hundred million pixels, as a message.
_MOST_LINE_BYTES = 64 * 2**20


class ChildProcess:
    """A module of the package that runs in a process of its own; belongs to one event loop."""

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        """Nothing is started yet.

        Args:
            module: what `python -m` runs.
            environment: variables beside those of this process.
        """
        self._module, self._environment = module, {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its number, while it runs."""
        return None if self._process is None else self._process.pid

    async def run(self, first: Json, take: Callable[[Json], None]) -> str:
        """One life of the process.

        Args:
            first: what it is told at once.
            take: gets each of its messages.

        Returns:
            How it ended, such as `exit status 0` or `SIGKILL`.
        """
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MOST_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for the server, which ends this process in good order
            env=self._environment,
        )
        assert process.stdout is not None  # it is a pipe
        self.send(first)
        try:
            while line := await process.stdout.readline():
                take(json.loads(line))
            return _reason(await process.wait())
        finally:
            await self.end()

    def send(self, message: Json) -> None:
        """Tell the process something; nothing happens where it has ended."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, RuntimeError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def end(self) -> None:
        """End the process, at once."""
        process = self._process
        if process is None:
            return
        self._process = None
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        if process.stdout is not None:
            await process.stdout.read()  # what it still had to say is for nobody; its pipe is closed with it
        await process.wait()


def own_streams() -> tuple[IO[bytes], Callable[[Json], None]]:
    """In such a process: the input, and what writes a message, from any thread; what a library prints goes to the error output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = threading.Lock()

    def report(message: Json) -> None:
        with lock:
            answers.write(json.dumps(message, allow_nan=False).encode() + b"\n")
            answers.flush()

    return sys.stdin.buffer, report


def _reason(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
