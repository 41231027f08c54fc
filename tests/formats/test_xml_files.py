"""XML of others, and text for XML."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.xml_files import as_xml, parse_xml, text_element


def parsed(path):
    events = []
    parse_xml(
        path,
        "The tool",
        start=lambda tag, values: events.append((tag, values)),
        end=lambda tag: events.append(f"/{tag}"),
        text=events.append,
    )
    return events


def test_tags_and_texts_in_their_order(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<a><b c="1">x&amp;y</b></a>')
    assert parsed(path) == [("a", {}), ("b", {"c": "1"}), "x&y", "/b", "/a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a", "not a valid XML file: in line 1, unclosed token"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "begins with a document type .* The tool writes none"),
        ("<?xml version='1.0' encoding='no-such'?><a/>", "not a valid XML file: "),
    ],
)
def test_what_is_refused(tmp_path, text, expected):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"a\.xml: {expected}"):
        parsed(path)
    with pytest.raises(DataError, match="cannot read the file"):
        parsed(tmp_path / "missing.xml")


def test_any_text_fits_into_an_element():
    assert text_element("a", "x<y&z") == "<a>x&lt;y&amp;z</a>"
    assert text_element("a", 3) == "<a>3</a>"
    assert as_xml("a\x00b\tc") == "a\\x00b\tc"
