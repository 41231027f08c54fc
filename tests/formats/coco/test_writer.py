"""COCO files written image by image."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.errors import ExportError
from sam2_adapter.formats.coco.objects import images_to_coco, read_coco
from sam2_adapter.formats.coco.writer import CocoStream
from tests.formats.examples import annotated_image
from tests.shapes import iou
from tests.small_disk import files_of_at_most


@pytest.mark.parametrize("segmentation", ["rle", "polygon"])
def test_the_file_is_that_of_all_images_at_once(tmp_path, segmentation):
    images = [
        annotated_image(),
        AnnotatedImage("empty.jpg", (5, 6)),
        AnnotatedImage("b.jpg", (90, 120), annotated_image().annotations[1:3]),
    ]
    labels = ["horse", "dog"]
    stream = CocoStream(tmp_path / "a.json", "small", {"tool": "x"}, segmentation=segmentation, labels=labels)
    notes = [note for image in images for note in stream.add(image)]
    stream.close()
    document = json.loads((tmp_path / "a.json").read_text())
    expected = images_to_coco(images, "small", segmentation=segmentation, labels=labels)
    assert notes == list(expected.notes)
    assert {key: document[key] for key in ("images", "annotations", "categories")} == {
        key: expected.document[key] for key in ("images", "annotations", "categories")
    }
    assert document["info"]["made_by"] == {"tool": "x"}


def test_polygons_hold_the_masks_and_say_where_they_cannot(tmp_path):
    stream = CocoStream(tmp_path / "a.json", "small", {}, segmentation="polygon")
    notes = stream.add(annotated_image())
    stream.close()
    rows = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert [isinstance(row["segmentation"], list) for row in rows] == [True, False, True, True, True]
    assert notes == ("street/a.jpg: object 2 ('dog') has holes, which COCO polygons cannot express: written as RLE.",)
    read = read_coco(tmp_path / "a.json").images[0].annotations
    for found, given in zip(read, annotated_image().annotations, strict=True):
        assert iou(found.mask, given.mask) >= 0.98


def test_an_image_that_cannot_be_written_leaves_no_trace(tmp_path):
    stream = CocoStream(tmp_path / "a.json", "small", {})
    whole = annotated_image()
    bad = AnnotatedImage(
        "bad.jpg", whole.original_hw, (whole.annotations[0].__class__("cat", whole.annotations[0].rle, 1.0, {"a": np}),)
    )
    with pytest.raises(ExportError, match="cannot be written as JSON"):
        stream.add(bad)
    stream.add(whole)
    stream.close()
    document = json.loads((tmp_path / "a.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["street/a.jpg"]


@pytest.mark.parametrize("num_bytes", [1100, 200])
def test_an_image_for_which_the_disk_has_no_room_leaves_no_trace(tmp_path, num_bytes):
    """Whether its objects or its own row is the first to find no room."""
    stream = CocoStream(tmp_path / "a.json", "small", {})
    stream.add(AnnotatedImage("first.jpg", (5, 6)))
    whole = annotated_image()
    with files_of_at_most(num_bytes), pytest.raises(ExportError, match="Make room on the disk"):
        _ = [stream.add(AnnotatedImage(f"{n}.jpg", whole.original_hw, whole.annotations)) for n in range(20)]
    stream.add(AnnotatedImage("last.jpg", (5, 6)))
    stream.close()
    document = json.loads((tmp_path / "a.json").read_text())
    images = document["images"]
    assert [image["id"] for image in images] == list(range(1, len(images) + 1))
    assert (images[0]["file_name"], images[-1]["file_name"]) == ("first.jpg", "last.jpg")
    assert len(document["annotations"]) == len(annotated_image().annotations) * (len(images) - 2)
