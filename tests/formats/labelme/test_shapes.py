"""Every type of shape that labelme has."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.rle import rle_to_mask
from sam2_adapter.errors import DataError
from sam2_adapter.formats.labelme.shapes import read_shape
from tests.formats.folders import HW, rectangle
from tests.formats.labelme.label_files import SQUARE, picture, shape
from tests.shapes import ellipse, iou


def read(*args, **more):
    return read_shape(shape(*args, **more), HW, "a.json: shape 0")


def test_polygons_are_areas_along_pixel_edges():
    for kind in ("polygon", None, ""):
        np.testing.assert_array_equal(rle_to_mask(read(kind, SQUARE).rle), rectangle(8, 6, 16, 18))
    assert read("polygon", [[40, 2], [50, 2], [50, 9]]).is_outside


def test_circles_are_areas():
    mask = rle_to_mask(read("circle", [[16, 12], [25, 12]]).rle)
    assert iou(mask, ellipse(HW, (12, 16), (9, 9))) >= 0.98


def test_masks_are_pictures_of_their_box():
    part = np.zeros((4, 6), np.uint8)
    part[1:3, 2:5] = 1
    found = read("mask", [[10, 5], [15, 8]], mask=picture(part))
    np.testing.assert_array_equal(rle_to_mask(found.rle), rectangle(12, 6, 15, 8))
    over_the_border = read("mask", [[-2, 5], [3, 8]], mask=picture(part))
    np.testing.assert_array_equal(rle_to_mask(over_the_border.rle), rectangle(0, 6, 3, 8))
    assert read("mask", [[-20, 5], [-15, 8]], mask=picture(part)).is_outside


def test_rectangles_are_boxes_whatever_corner_comes_first():
    assert read("rectangle", [[16, 18], [8, 6]]).box_xyxy == (8, 6, 16, 18)
    assert read("rectangle", SQUARE).box_xyxy == (8, 6, 16, 18)


def test_turned_rectangles_keep_their_angle():
    turned = np.array(SQUARE, float) - (12, 12)
    cos, sin = np.cos(np.radians(30)), np.sin(np.radians(30))
    found = read("oriented_rectangle", (turned @ np.array([[cos, sin], [-sin, cos]]) + (12, 12)).tolist())
    assert found.box_xyxy == pytest.approx((8, 6, 16, 18))
    assert found.angle == pytest.approx(30)


def test_points_and_lines():
    assert read("point", [[3.5, 4]]).points.tolist() == [[3.5, 4]]
    for kind in ("line", "linestrip"):
        found = read(kind, [[3, 4], [5, 6]])
        assert (found.rle, found.box_xyxy, found.points) == (None, None, None)


def test_a_label_may_be_missing_and_a_group_may_be_a_text():
    found = read_shape({"points": SQUARE, "group_id": "a"}, HW, "x")
    assert (found.label, found.group, found.kind) == ("", "a", "polygon")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (3, "expected an object, but got 3"),
        (shape("blob", SQUARE), "'shape_type' is one of polygon, rectangle, circle, .*, but got 'blob'"),
        (shape("polygon", [[1, 2], [3, 4]]), "A polygon ring needs at least three"),
        (shape("polygon", [[1, 2], [3]]), r"'points' is a list of \[x, y\], but got \[\[1, 2\], \[3\]\]"),
        (shape("polygon", [[1, 2], [3, 4], [float("nan"), 5]]), "coordinates are pixels of the image"),
        (shape("circle", [[1, 2]]), "a circle has its centre and a point on it, but got 1 points"),
        (shape("rectangle", [[1, 2]]), "a rectangle has two opposite corners, but got 1 points"),
        (shape("mask", [[1, 2], [3, 4]]), "'mask' is a picture in base64, but got None"),
        (shape("mask", [[1, 2], [3, 4]], mask="%%"), "'mask' is a picture in base64, but got '%%'"),
        (shape("mask", [[1, 2], [3, 4]], mask=picture(np.ones((9, 9), np.uint8))), "'mask'.*9x9.*3x3"),
        (shape("polygon", SQUARE, group=[1]), r"'group_id' is a whole number or null, but got \[1\]"),
        ({"label": [3], "points": SQUARE}, r"'label' is a text, but got \[3\]"),
        ({"label": True, "points": SQUARE}, "'label' is a text, but got True"),
        (shape("polygon", SQUARE, group=1.5), "'group_id' is a whole number or null, but got 1.5"),
    ],
)
def test_malformed_shapes_are_refused(entry, text):
    with pytest.raises(DataError, match=f"^a.json: shape 0: .*{text}|^a.json: shape 0: {text}"):
        read_shape(entry, HW, "a.json: shape 0")


def test_labels_and_groups_as_numbers():
    found = read_shape({"label": 3, "points": SQUARE, "group_id": 2.0}, HW, "x")
    assert (found.label, found.group) == ("3", "2")
