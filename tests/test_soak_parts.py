"""`make soak`: every long test is in one of its parts, and a part that does not exist is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

from tools import soak

TESTS = Path(__file__).parent


def test_every_long_test_is_in_a_part() -> None:
    long = {path for path in TESTS.rglob("test_*.py") if re.search(r"mark\.soak\b", path.read_text("utf-8"))}
    named = {soak.ROOT / name for part in soak.PARTS.values() if part.marks == "soak" for name in part.tests}
    assert long - {Path(__file__)} == named


def test_parts_are_listed_and_unknown_ones_refused(capsys) -> None:
    assert soak.main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(soak.PARTS)
    assert soak.main(["tif"]) == 2
    assert "There is no part tif: choose from weights, tiff," in capsys.readouterr().err
