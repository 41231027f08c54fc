"""Freed memory goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sam2_adapter.label.memory import give_memory_back

# Many pieces that glibc keeps when they are freed, since one above them is in use.
PROGRAM = """
from pathlib import Path
from sam2_adapter.label.memory import give_memory_back
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
pieces = [b"x" * (60_000 + number) for number in range(1500)]
top = b"y" * 60_000
full = resident()
del pieces
give_memory_back()
print(full - resident())
"""


def test_it_may_be_called_anywhere():
    give_memory_back()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how large the process is")
def test_what_was_freed_leaves_the_process():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 60_000_000
