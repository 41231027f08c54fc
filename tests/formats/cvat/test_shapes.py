"""Every shape that CVAT has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sam2_adapter.annotations.rle import rle_to_mask
from sam2_adapter.errors import DataError
from sam2_adapter.formats.cvat.document import Element
from sam2_adapter.formats.cvat.shapes import mask_to_runs, read_element, runs_to_mask
from tests.formats.cvat.xml_files import POINTS
from tests.formats.folders import HW, rectangle
from tests.shapes import QUICK, ellipse, iou, pixel_masks

MASK = {"left": "10", "top": "5", "width": "6", "height": "4", "rle": "8, 3, 3, 3, 7"}


def read(kind, attributes=None, **values):
    return read_element(Element(kind, {"label": "cat", **values}, attributes or {}), HW, "a.png: 0")


@QUICK
@given(pixel_masks())
def test_runs_are_exact(mask):
    runs = mask_to_runs(mask)
    assert sum(runs) == mask.size
    assert all(run > 0 for run in runs[1:])
    np.testing.assert_array_equal(runs_to_mask(runs, mask.shape), mask)


def test_areas():
    np.testing.assert_array_equal(rle_to_mask(read("polygon", points=POINTS).rle), rectangle(8, 6, 16, 18))
    np.testing.assert_array_equal(rle_to_mask(read("mask", **MASK).rle), rectangle(12, 6, 15, 8))
    turned = read("ellipse", cx="16", cy="12", rx="9", ry="5", rotation="90")
    assert iou(rle_to_mask(turned.rle), ellipse(HW, (12, 16), (9, 5))) >= 0.98
    assert read("polygon", points="40,1;50,1;50,9").is_outside


def test_boxes_and_points():
    box = read("box", xtl="1.5", ytl="2", xbr="9", ybr="8", rotation="30.00", z_order="3", group_id="4")
    assert (box.box_xyxy, box.angle, box.z_order, box.group) == ((1.5, 2, 9, 8), 30, 3, "4")
    assert read("points", points="1.0,2.0;3.5,4.0", group_id="0").points.tolist() == [[1, 2], [3.5, 4]]
    assert read("points", points="1.0,2.0", group_id="0").group is None


@pytest.mark.parametrize("kind", ["polyline", "cuboid", "skeleton", "tag"])
def test_other_shapes_are_nothing(kind):
    found = read(kind)
    assert (found.kind, found.rle, found.box_xyxy, found.points) == (kind, None, None, None)


def test_facts_that_we_wrote_as_attributes_are_facts_again():
    found = read("polygon", {"iou_score": "0.5", "object_id": "7", "colour": "red"}, points=POINTS)
    assert (found.iou_score, found.object_id, found.parent_id, found.attributes) == (0.5, "7", None, {"colour": "red"})
    assert read("polygon", {"iou_score": "good"}, points=POINTS).attributes == {"iou_score": "good"}


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        ("polygon", {}, "'points' is a text 'x,y;x,y;...' in pixels, but got None"),
        ("polygon", {"points": "1,2;3"}, "'points' is a text"),
        ("polygon", {"points": "1,2;3,nan;4,5"}, "'points' is a text"),
        ("polygon", {"points": "1,2;3,4"}, "A polygon ring needs at least three"),
        ("mask", {**MASK, "rle": "8, x"}, "'rle' is a text of whole numbers"),
        ("mask", {**MASK, "rle": "8, 3"}, "'rle' covers 11 pixels, but the box of the mask has 6x4"),
        (
            "mask",
            {**MASK, "left": "29"},
            "the box of the mask, 6x4 pixels from 29, 5, is not inside the image, which is 32x24",
        ),
        ("mask", {**MASK, "width": "99999999", "height": "99999999"}, "is not inside the image"),
        ("mask", {**MASK, "top": "1.5"}, "'top' is a whole number of pixels, but got '1.5'"),
        ("ellipse", {"cx": "16", "cy": "12", "rx": "9"}, "'ry' is a number of pixels, but got None"),
        ("box", {"xtl": "1", "ytl": "2", "xbr": "inf", "ybr": "8"}, "'xbr' is a number of pixels, but got 'inf'"),
        ("box", {"xtl": "1", "ytl": "2", "xbr": "9", "ybr": "8", "rotation": "x"}, "'rotation' is a number"),
        ("points", {"points": ""}, "'points' is a text"),
    ],
)
def test_malformed_shapes_are_refused(kind, values, text):
    with pytest.raises(DataError) as caught:
        read(kind, **values)
    assert str(caught.value).startswith("a.png: 0: ")
    assert text in str(caught.value)
