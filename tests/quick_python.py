"""A Python that has all modules imported already, for code that starts `sys.executable -m MODULE` by itself.

`sys.executable` becomes a small script: it hands its arguments, its folder, its environment and its three streams to a server, a process as
those of tests/processes.py, which forks. The fork runs the module with those streams in a session of its own. A signal that ends the
script ends the fork with SIGKILL, and the script ends as the fork does. How Python really starts a module, imports included, is tested elsewhere.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

from tests.processes import CONTEXT, ready
from tests.training.small_run import click_curve

_SCRIPT = """#!{python} -S
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = dict(words=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ))
socket.send_fds(server, [b"."], [0, 1, 2])
server.sendall(json.dumps(request).encode() + b"\\n")
for stream in (0, 1, 2):
    os.close(stream)
status = int(server.recv(16) or b"1")
if status < 0:
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextmanager
def quick_python(*, short_click_curve: bool = False) -> Iterator[None]:
    """Let `sys.executable` be the quick one.

    Args:
        short_click_curve: runs measure as with `tests.training.small_run.click_curve`.
    """
    ready()
    folder = Path(tempfile.mkdtemp(prefix="python-"))  # addresses of servers are short
    script, address = folder / "python", str(folder / "server")
    script.write_text(_SCRIPT.format(python=sys.executable, address=address))
    script.chmod(0o700)
    receiver, sender = CONTEXT.Pipe(duplex=False)
    server = CONTEXT.Process(target=_serve, args=(address, sender, short_click_curve), daemon=True)
    server.start()
    assert receiver.recv() == "listening"
    try:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(sys, "executable", str(script))
            yield
    finally:
        server.kill()
        server.join()
        shutil.rmtree(folder)


def _serve(address: str, sender: Connection, short_click_curve: bool) -> None:
    """Let a process of its own keep each script that connects."""
    if short_click_curve:
        click_curve().__enter__()  # for good
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    parent = multiprocessing.parent_process()
    assert parent is not None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sender.send("listening")
        while listener in wait([listener, parent.sentinel]):  # the tests may have been killed
            script, _ = listener.accept()
            with script:
                if not os.fork():
                    listener.close()
                    _keep(script)


def _keep(script: socket.socket) -> None:
    """Fork for a script, tell it how the fork ended, and kill the fork where the script ends first."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, *_ = socket.recv_fds(script, 1, 3)
    with script.makefile("rb") as file:
        request = json.loads(file.readline())
    fork = os.fork()
    if not fork:
        script.close()
        os._exit(_run(request, streams))
    for stream in streams:
        os.close(stream)
    threading.Thread(target=_end_with, args=(script, fork), daemon=True).start()
    _, status = os.waitpid(fork, 0)
    with suppress(OSError):  # the script has ended
        script.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _end_with(script: socket.socket, fork: int) -> None:
    script.recv(1)
    with suppress(ProcessLookupError):  # it has ended, and so the script
        os.kill(fork, signal.SIGKILL)


def _run(request: dict[str, Any], streams: list[int]) -> int:
    """Run the module as Python would; returns the exit status."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", 1), open(2, "w", 1)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path.insert(0, request["folder"])
    option, module, *words = request["words"]
    assert option == "-m"
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
