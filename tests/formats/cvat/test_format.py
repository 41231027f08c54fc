"""CVAT as a format: one file for all images, and its boxes and points as prompts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.cvat.format import CvatWriter, read_cvat_prompts
from sam2_adapter.formats.cvat.objects import read_cvat
from sam2_adapter.formats.load import load_dataset
from tests.formats.cvat.xml_files import POLYGON, image, write_document
from tests.formats.examples import annotated_image
from tests.formats.folders import write_image


def test_all_images_stand_in_one_file(tmp_path):
    given = annotated_image()
    writer = CvatWriter(WritingTarget(tmp_path / "annotations.xml", lambda _: None, "small", {"tool": "a&b"}))
    assert writer.add(given, "street/a").files == ()
    assert writer.add_done(AnnotatedImage("b.jpg", (5, 6)), "b").files == ()
    (path,) = writer.close()
    root = ElementTree.parse(path).getroot()
    assert [child.tag for child in root] == ["version", "meta", "image", "image"]
    assert [name.text for name in root.iter("name")] == ["Masks made with sam2-adapter", "cat", "dog", "猫"]
    assert root.findtext("meta/task/size") == "2"
    assert root.findtext("meta/made_by") == "tool a&b"
    assert read_cvat(path).images == (given, AnnotatedImage("b.jpg", (5, 6)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["annotations.xml"]
    write_image(tmp_path / "images" / "street" / "a.jpg", given.original_hw)
    (sample,) = load_dataset(tmp_path, min_area_px=1, validation_share=0).samples("train")
    assert sample.objects == given.annotations


def test_boxes_and_points_are_prompts(tmp_path, caplog):
    box = '<box label="cat" xtl="1" ytl="2" xbr="9" ybr="8" rotation="30" group_id="2"><attribute name="colour">red</attribute></box>'
    click = '<points label="cat" points="4,5" group_id="2"></points>'
    clicks = '<points label="dog" points="4,5;6,7"></points>'
    write_document(
        tmp_path / "a.xml",
        image(box, click, clicks, POLYGON, '<points label="x" points="3"/>'),
        image(POLYGON, name="b"),
    )
    found = read_cvat_prompts(tmp_path)
    assert list(found) == ["a.png"]
    both, two, refused = found["a.png"]
    assert (both.box_xyxy, both.box_angle, both.point_coords.tolist()) == ((1, 2, 9, 8), 30, [[4, 5]])
    assert (both.label, both.attributes) == ("cat", {"colour": "red"})
    assert (two.label, two.point_coords.tolist()) == ("dog", [[4, 5], [6, 7]])
    assert refused.reason.startswith("a.png: points 5: 'points' is a text")
    assert "2 shapes are neither box nor point and no prompt, such as a.png: polygon 4." in caplog.text


def test_a_file_without_boxes_and_points_has_no_prompts(tmp_path):
    with pytest.raises(PromptError, match="there is no box and no point in it"):
        read_cvat_prompts(write_document(tmp_path / "a.xml", image(POLYGON)))
