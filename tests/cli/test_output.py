"""What is printed: one line for one line, whatever names hold, wherever it goes."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from sam2_adapter.cli.output import (
    OutputError,
    flush,
    json_text,
    lines_above,
    print_error,
    print_json,
    say,
    show_any_character,
    tell,
    warn,
)


def _stream(encoding: str, errors: str = "strict") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors, newline="\n")


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


class _Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_results_and_messages_go_apart(capsys: pytest.CaptureFixture[str]) -> None:
    say("a.png: 1 object", Path("b"))
    tell("working")
    warn("old")
    print_error("broken")
    assert capsys.readouterr() == ("a.png: 1 object\nb\n", "working\nwarning: old\nerror: broken\n")


def test_a_name_cannot_pass_for_another_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "x\nb.png: 1 object (cat 0.99)\x1b[2K"
    say(f"{name}: 1 object")
    print_error(f"{name}: not an image")
    out, err = capsys.readouterr()
    assert out == "x\\nb.png: 1 object (cat 0.99)\\x1b[2K: 1 object\n"
    assert err == "error: x\\nb.png: 1 object (cat 0.99)\\x1b[2K: not an image\n"


def test_our_own_messages_have_more_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("nothing can be used. Left out:\n  1  image  broken  a\nb.png")
    assert capsys.readouterr().err == "error: nothing can be used. Left out:\n  1  image  broken  a\\nb.png\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "cp932"])
def test_a_console_of_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"name": "猫 Straße 🐈", "bytes": os.fsdecode(b"lat\xe9in.png")}
    out = _stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", _stream(encoding))
    show_any_character()
    print_json(document)
    assert json.loads(_written(out).decode(encoding)) == document
    say(document["name"])  # no error
    assert len(_written(out).decode(encoding).splitlines()[-1]) >= len(document["name"])


def test_json_keeps_the_writing_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _stream("utf-8"))
    assert json_text("猫") == '"猫"'
    monkeypatch.setattr(sys, "stdout", _stream("ascii"))
    assert json_text("猫") == '"\\u732b"'


def test_the_work_goes_on_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        say("one", "two")
        print_json({})
        flush()


def test_a_closed_stdout_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    say("one")
    print_json({})
    flush()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(OutputError, match="the output cannot be written: No space left on device"):
            say("one")


def test_lines_stand_above_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console(stderr=True, force_terminal=True, width=60, legacy_windows=False)
    bars = Progress(console=console, transient=True, auto_refresh=False)
    bars.add_task("predicting", total=2)
    with lines_above(bars):
        bars.refresh()
        say("a.png: 1 object")
        print_error("b.png: not an image [bold]:smile:")
        bars.refresh()
    shown = _on_screen(terminal.getvalue())
    assert "a.png: 1 object" in shown
    assert "error: b.png: not an image [bold]:smile:" in shown
    assert not any("predicting" in line for line in shown)


def _on_screen(text: str) -> list[str]:
    """What is left on a terminal, of which rich uses few commands: line by line, with lines erased and gone up."""
    import re

    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            continue
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.endswith("A"):
            row -= int(part[2:-1] or 1)
        elif not part.startswith("\x1b"):
            lines[row] = part if lines[row] == "" else lines[row] + part
    return [line.rstrip() for line in lines]
