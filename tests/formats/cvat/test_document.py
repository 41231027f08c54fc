"""CVAT's XML: what it says, and what it must not do."""

from __future__ import annotations

import time

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.cvat.document import looks_like_cvat, read_document
from tests.formats.cvat.xml_files import POLYGON, document, image, write_document


def read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path).images


def test_images_shapes_and_attributes(tmp_path):
    shape = '<box label="a&amp;b" xtl="1" ytl="2" xbr="3" ybr="4"><attribute name="colour">r&#233;d\n</attribute></box>'
    tag = '<tag label="night"></tag><skeleton label="x"><points label="1" points="1,2"></points></skeleton>'
    path = write_document(tmp_path / "a.xml", image(shape, tag, name="street/a.png", more='subset="Train"'), image())
    first, second = read_document(path).images
    assert (first.name, first.listed_hw, first.subset) == ("street/a.png", (24, 32), "Train")
    assert [element.kind for element in first.elements] == ["box", "tag", "skeleton"]
    assert first.elements[0].values["label"] == "a&b"
    assert first.elements[0].attributes == {"colour": "réd\n"}
    assert (second.subset, second.elements) == ("", [])
    assert looks_like_cvat(path)


def test_other_encodings_are_read_as_they_say(tmp_path):
    text = document(image(name="größe.png")).replace("utf-8", "iso-8859-1").encode("latin-1")
    assert read(tmp_path / "a.xml", text)[0].name == "größe.png"


BOMB = (
    '<!DOCTYPE annotations [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {after} "{f"&{before};" * 10}">' for before, after in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "not a valid XML file: in line 1, no element found"),
        ("<annotations><image", "not a valid XML file: in line 1, unclosed token"),
        ("<annotation></annotation>", "not a file of CVAT: expected <annotations> first, but found <annotation>"),
        (
            "<annotations><track id='0' label='cat'></track></annotations>",
            r"holds tracks \('cat'\), as 'CVAT for video 1.1' does",
        ),
        (f"{BOMB}<annotations>&i;</annotations>", "begins with a document type"),
        ('<!DOCTYPE annotations SYSTEM "file:///etc/passwd"><annotations/>', "begins with a document type"),
        ("<annotations>&secret;</annotations>", "not a valid XML file: in line 1, undefined entity"),
        (document(image(name="")), "image '0': 'name' is missing"),
        (document(image(hw=("tall", 4))), r"image 'a\.png': 'height' is a number of pixels, but got 'tall'"),
        (document(image(hw=("9" * 400, 4))), "'height' is a number of pixels, but got"),
        (document(image('<box label="a" label="b"/>')), "not a valid XML file: in line 2, duplicate attribute"),
        ("<?xml version='1.0' encoding='no-such'?><annotations/>", "not a valid XML file: "),
        (
            document(image(f'<tag label="x"><attribute name="a">{"x" * 100_001}</attribute></tag>')),
            "the attribute 'a' has more than 100,000 characters",
        ),
    ],
)
def test_wrong_files_are_refused_at_once(tmp_path, text, expected):
    started = time.process_time()
    with pytest.raises(DataError, match=rf"a\.xml: .*{expected}|a\.xml: {expected}"):
        read(tmp_path / "a.xml", text)
    assert time.process_time() - started < 1


def test_missing_files(tmp_path):
    assert not looks_like_cvat(tmp_path / "a.xml")
    with pytest.raises(DataError, match="cannot read the file"):
        read_document(tmp_path / "a.xml")


def test_depth_costs_nothing(tmp_path):
    deep = "<a>" * 100_000 + "</a>" * 100_000
    (found,) = read(tmp_path / "a.xml", document(image(POLYGON + deep)))
    assert [element.kind for element in found.elements] == ["polygon", "a"]


@pytest.mark.parametrize(("text", "side"), [("", None), ("0", None), ("-1", None), ("24.0", 24), ("24", 24)])
def test_sizes_as_tools_write_them(tmp_path, text, side):
    (found,) = read(tmp_path / "a.xml", document(f'<image id="0" name="a" height="{text}"></image>'))
    assert found.listed_hw == (side, None)


@pytest.mark.parametrize("owner", ["task", "job", "project"])
def test_listed_labels_are_those_of_the_task(tmp_path, owner):
    attribute = "<attributes><attribute><name>colour</name></attribute></attributes>"
    label = "<label><name>{}</name><color>#fff</color>" + attribute + "</label>"
    labels = "".join(map(label.format, ("dog", "", "a&amp;b", " ", "\n  cat\n")))
    labels += "<label><name>knee</name><type>points</type><parent>dog</parent></label>"
    meta = f"<meta><{owner}><name>mine</name><labels>{labels}</labels></{owner}></meta>"
    path = tmp_path / "a.xml"
    path.write_text(f"<annotations><version>1.1</version>{meta}{image(POLYGON)}</annotations>")
    assert read_document(path).labels == ["dog", "a&b", "cat"]
    assert [element.kind for element in read_document(path).images[0].elements] == ["polygon"]


def test_a_label_has_an_end(tmp_path):
    name = f"<name>{'x' * 200_000}</name>"
    (tmp_path / "a.xml").write_text(
        f"<annotations><meta><task><labels><label>{name}</label></labels></task></meta></annotations>"
    )
    with pytest.raises(DataError, match="a label has more than 100,000 characters"):
        read_document(tmp_path / "a.xml")
