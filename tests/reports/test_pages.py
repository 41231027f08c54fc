"""Pages are filled in from templates: everything is escaped, nothing is forgotten."""

from __future__ import annotations

import re

import jinja2
import pytest

from sam2_adapter.reports.pages import _environment, render_page


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="is undefined"):
        render_page("report.html")


def test_commands_are_broken_between_words():
    template = _environment().from_string("{{ text | command }}")
    assert template.render(text="run  --x '<a>'") == (
        '<span class="word">run</span> <span class="word">--x</span> <span class="word">&#39;&lt;a&gt;&#39;</span>'
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mix it (`sam2-adapter blend`).", "mix it (<code>sam2-adapter blend</code>)."),
        ("`a <b>` or `c`", "<code>a &lt;b&gt;</code> or <code>c</code>"),
        ("a ` alone & <i>", "a ` alone &amp; &lt;i&gt;"),
        ("", ""),
    ],
)
def test_commands_in_sentences_are_shown_as_code(text, shown):
    assert _environment().from_string("{{ text | code }}").render(text=text) == shown


@pytest.mark.parametrize("name", ["report.html", "demo.html"])
def test_pages_share_one_style(name):
    source = _environment().loader.get_source(_environment(), name)[0]
    assert '{% include "style.css" %}' in source
    assert not re.search(r"#[0-9a-f]{6}\b", source.replace("#c3122a", "")), "colours stand in style.css"
