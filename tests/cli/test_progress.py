"""Progress: a bar on a terminal, dated lines in a log."""

from __future__ import annotations

import io
import re
import sys

import pytest

from sam2_adapter.cli import progress as module
from sam2_adapter.cli.progress import download_bar, progress, terminal_bars


def test_in_a_log_progress_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("measuring") as advance:
        for done in range(1, 9):
            advance(done, 8)
    lines = capsys.readouterr().err.splitlines()
    assert [line[20:] for line in lines] == ["measuring: 3/8", "measuring: 6/8"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress("measuring [/b].jpg") as advance:
        advance(3, 8)
    assert "measuring [/b].jpg" in screen.getvalue()
    assert "3/8" in screen.getvalue()


def test_a_closed_stderr_has_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert terminal_bars() is None


def test_a_download_has_a_bar_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with download_bar("a.pt", 0, 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with download_bar("[b].pt", 5, 10) as advance:
        advance(5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "[b].pt" in shown.err
    assert "10/10 bytes" in shown.err
