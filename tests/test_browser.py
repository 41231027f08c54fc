"""The test of pages finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.browser import WIDTHS, faults_everywhere, layout_faults, opened

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<div style='width:1000px'>wide</div>", "the page is 1008 px wide in a window of 375 px"),
        ("<p style='position:absolute;top:8px'>below</p><p style='position:absolute;top:8px'>above</p>", "<p> below lies over <p> above"),
        ("<svg viewBox='0 0 90 90'><text x='-40' y='50'>out</text></svg>", "<text> out leaves its chart"),
        ("<svg viewBox='0 0 90 90'><text y='50'>one</text><text y='52'>two</text></svg>", "<text> one lies over <text> two"),
        ("<div style='width:60px;white-space:nowrap'>a text that is longer</div><p>next", None),
        ("<section style='width:200px'><p style='width:300px'>a text of so many words that it is wider", "<p> a text of so many words that i sticks out of its section"),
        ("<section style='width:200px;overflow-x:auto'><p style='width:900px'>a text that scrolls inside, however long it is, is no fault", None),
        ("<p style='width:60px;overflow:hidden;white-space:nowrap'>one that is cut off is none</p><p style='position:absolute;left:90px;top:16px'>next", None),
        ("<p>plain <b>text <i>in</i></b> lines</p><details><summary>more</summary><p>hidden</p></details><p>end</p>", None),
    ],
)  # fmt: skip
def test_faults_are_found(browser, tmp_path, body, fault):
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}</body>")
    with opened(browser, path, 375) as window:
        found = layout_faults(window)
    assert [fault in found] * bool(fault) == [True] * bool(fault)
    assert bool(found) == bool(fault)


def test_complaints_of_a_page_are_errors(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<script>throw new Error('broken')</script>")
    with pytest.raises(AssertionError, match="broken"), opened(browser, path):
        pass


def test_faults_are_told_by_width(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><body style='margin:0'><div style='width:1500px'>wide</div></body>")
    assert {width for width, _ in faults_everywhere(browser, path)} == set(WIDTHS[:2])
