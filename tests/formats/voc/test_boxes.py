"""Names and boxes in Pascal VOC's XML."""

from __future__ import annotations

import pytest

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.formats.voc.boxes import box_iou, image_to_xml, read_boxes
from tests.formats.folders import rectangle

BOX = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"


def read(path, text):
    path.write_text(text, encoding="utf-8")
    return read_boxes(path)


def test_pixels_are_counted_from_one_and_parts_are_passed_over(tmp_path):
    part = f"<part><name>head</name>{BOX}</part>"
    found = read(tmp_path / "a.xml", f"<annotation><object><name> cat </name>{BOX}{part}</object></annotation>")
    assert found == [("cat", (0, 1.5, 20, 30))]


def test_what_is_written_is_read(tmp_path):
    objects = (
        Annotation.from_mask(rectangle(0, 0, 1, 1), "a<b & c"),
        Annotation.from_mask(rectangle(3, 4, 32, 24), "猫"),
    )
    text = image_to_xml(AnnotatedImage("street/a.jpg", (24, 32), objects))
    assert "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox>" in text
    assert "<size><width>32</width><height>24</height><depth>3</depth></size>" in text
    assert read(tmp_path / "a.xml", text) == [("a<b & c", (0, 0, 1, 1)), ("猫", (3, 4, 32, 24))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a valid XML file: in line 1, no element found"),
        ("<annotation><object>", "not a valid XML file"),
        ("<annotations/>", "not a file of Pascal VOC: expected <annotation> first, but found <annotations>"),
        ("<!DOCTYPE annotation><annotation/>", "begins with a document type"),
        (f"<annotation><object>{BOX}</object></annotation>", "object 1: the object has no <name>"),
        ("<annotation><object><name>a</name></object></annotation>", "object 1: a <bndbox> has xmin, .* but got xmin None"),
        (
            f"<annotation><object><name>a</name>{BOX.replace('20', '0')}</object></annotation>",
            "object 1: a <bndbox> has xmin, .* in this order, but got xmin '1', ymin '2.5', xmax '0'",
        ),
        (f"<annotation><object><name>a</name>{BOX.replace('20', 'nan')}</object></annotation>", "object 1: .* xmax 'nan'"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused(tmp_path, text, expected):
    with pytest.raises(DataError, match=rf"a\.xml: {expected}"):
        read(tmp_path / "a.xml", text)


def test_iou_of_boxes():
    assert box_iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 2, 2), (2, 0, 3, 2)) == 0
