"""The quick Python runs modules as the real one does: streams, folder, environment, and how both sides end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.quick_python import quick_python

pytestmark = pytest.mark.slow

MODULE = """
import os, signal, sys, time
said = sys.stdin.readline().strip()
print(os.getpid(), os.getcwd(), os.environ["SAID"], said, *sys.argv[1:], "torch" in sys.modules, flush=True)
print("trouble", file=sys.stderr)
if said == "wait":
    time.sleep(30)
    print("not ended", flush=True)
    sys.exit(1)
if said == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.stdin.readline()))
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    (folder / "said.py").write_text(MODULE)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "said", "one", "two"]
    environment = {**os.environ, "SAID": "ä"}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


def test_a_module_gets_what_python_gives_it_and_both_end_together(tmp_path: Path) -> None:
    usual = sys.executable
    with quick_python():
        assert sys.executable != usual
        for said, status in (("go\n7\n", 7), ("go\n0\n", 0), ("kill\n", -signal.SIGKILL)):
            with _start(tmp_path) as process:
                stdout, stderr = process.communicate(said, timeout=60)
            assert stdout.split()[1:] == [str(tmp_path), "ä", said.split()[0], "one", "two", "True"]
            assert (stderr, process.returncode) == ("trouble\n", status)
        with _start(tmp_path) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("wait\n")
            process.stdin.flush()
            fork = int(process.stdout.readline().split()[0])
            process.kill()
            assert process.stdout.read() == ""  # the fork had it open
        assert process.returncode == -signal.SIGKILL
        with suppress(ProcessLookupError):
            while True:  # until it is gone
                os.kill(fork, 0)
                time.sleep(0.01)
    assert sys.executable == usual
