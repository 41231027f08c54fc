"""Results of all images in one COCO file."""

from __future__ import annotations

import json

import pytest

from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.coco.format import FORMAT
from tests.formats.examples import annotated_image


@pytest.mark.parametrize(("output_type", "kinds"), [("mask", {dict}), ("polygon", {dict, list})])
def test_new_images_and_those_of_an_earlier_run_stand_in_one_file(tmp_path, output_type, kinds):
    target = WritingTarget(tmp_path / "annotations.json", lambda _: None, "small", {"tool": "x"}, output_type)
    writer = FORMAT.open_writer(target)
    assert writer.add(annotated_image(), "a").files == ()
    writer.add_done(annotated_image(), "b")
    assert writer.close() == (tmp_path / "annotations.json",)
    document = json.loads((tmp_path / "annotations.json").read_text())
    assert len(document["images"]) == 2
    assert {type(row["segmentation"]) for row in document["annotations"]} == kinds
    assert document["info"]["made_by"] == {"tool": "x"}
