"""The command in a process of its own: how it starts, where its output goes, and how Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import disk_photo

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "sam2_adapter"]
UNKNOWN_OPTION = "error: No such option '--jsonn'. Did you mean '--json'?\nSee: sam2-adapter predict --help\n"
PREDICT = ("predict", "photos", "--model", "sam2_nano", "--precision", "fp32", "--no-overlay", "--output", "out")


def _shell(line: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line.replace("COMMAND", " ".join(COMMAND))],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **variables},
    )


@pytest.fixture
def three_photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        disk_photo().save(tmp_path / "photos" / name)
    return tmp_path


@pytest.mark.parametrize(
    ("more", "variables", "first"),
    [("", {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}, "A\\u732b.png: 1 object"), ("--json", {}, '{"model": ')],
)
def test_a_reader_that_goes_away_stops_nothing_and_a_console_that_is_not_utf8_shows_escapes(
    three_photos: Path, more: str, variables: dict[str, str], first: str
) -> None:
    (three_photos / "photos" / "a.png").rename(three_photos / "photos" / "A猫.png")
    done = _shell(f"(COMMAND {' '.join(PREDICT)} {more}; echo $? >&2) | head -1", three_photos, **variables)
    assert done.stdout.startswith(first)
    assert done.stdout.count("\n") == 1
    assert done.stderr.splitlines()[-1] == "0"
    assert "Error" not in done.stderr
    assert len(json.loads((three_photos / "out" / "annotations.json").read_text())["images"]) == 3


@pytest.mark.parametrize("arguments", ["--help", "predict --help", "--version", "predict --jsonn --json"])
def test_short_answers_to_nobody(tmp_path: Path, arguments: str) -> None:
    for line in (f"COMMAND {arguments} >&-", f"(COMMAND {arguments}; echo $? >&2) | true"):
        done = _shell(line, tmp_path)
        assert done.stderr.replace(UNKNOWN_OPTION, "") in ("", "0\n", "2\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", ["--help", "--version"])
def test_a_full_disk_behind_stdout_is_said(tmp_path: Path, arguments: str) -> None:
    done = _shell(f"COMMAND {arguments} >/dev/full", tmp_path)
    assert done.stderr == "error: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_ctrl_c_in_a_callback_is_not_forgotten() -> None:
    code = """
import signal, time, weakref
from sam2_adapter.__main__ import keep_ctrl_c
keep_ctrl_c()
class Thing: pass
def broken_off(_): signal.raise_signal(signal.SIGINT)
thing = Thing()
reference = weakref.ref(thing, broken_off)
began = time.monotonic()
try:
    del thing
    time.sleep(60)
except KeyboardInterrupt:
    print("ended", "early" if time.monotonic() - began < 30 else "late")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert (done.stdout, done.stderr, done.returncode) == ("ended early\n", "", 0)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0])
def test_ctrl_c_while_it_starts_prints_no_traceback(tmp_path: Path, seconds: float) -> None:
    # Says when Python itself has started, which Ctrl-C may still break off in any way.
    code = "from sam2_adapter.__main__ import main; print(flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "doctor"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert said in ("", "error: interrupted.\n")
    assert process.returncode in (130, -signal.SIGINT)
