"""Help texts: nothing is cut off, at any width, and no words of programmers."""

from __future__ import annotations

import re

import pytest

from sam2_adapter.cli import COMMANDS
from sam2_adapter.cli.help_texts import plain_name, plain_text
from tests.command_line import run


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    "command", [(), *((name,) for name in COMMANDS)], ids=lambda command: " ".join(command) or "all"
)
def test_nothing_is_cut_off(command: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = run(*command, "--help")
    assert done.status == 0
    assert max(map(len, done.stdout.splitlines())) <= min(width, 110)
    # An ellipsis stands where something can be repeated, not where a sentence was cut.
    assert not re.search(r"[a-z]\.\.\.$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_there_are_no_words_of_programmers(command: str) -> None:
    text = run(command, "--help").stdout
    assert not re.search(r"list\[|<str>|<path>|x>=|<=x|[{}]", text)
    assert text.startswith(f"Usage: sam2-adapter {command} [OPTIONS]")


def test_names_and_ranges() -> None:
    assert plain_name("IMAGE... <list[str]>") == "IMAGE..."
    assert plain_name("--prompt <list[box|point]>") == "--prompt <box|point>"
    assert plain_name("--to <meta|transformers>") == "--to <meta|transformers>"
    assert plain_text("Images.  [default: 2; x>=1]") == "Images.  [default: 2; at least 1]"
    assert plain_text("Images.  [1<=x<=256]") == "Images.  [1 to 256]"
