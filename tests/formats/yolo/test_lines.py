"""One object on one line of YOLO's text files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Polygon, polygons_to_mask
from sam2_adapter.formats.yolo.lines import annotation_to_line, is_turned_rectangle, one_outline, outline_of_line
from tests.shapes import FEW, QUICK, ellipse, iou, object_masks, pixel_masks, real_masks


def round_trip(mask, tolerance=1.0):
    line, _ = annotation_to_line(Annotation.from_mask(mask, "cat"), 3, tolerance)
    words = line.split()
    assert words[0] == "3"
    return polygons_to_mask([Polygon(outline_of_line(words, mask.shape))], mask.shape)


def test_the_line_of_a_rectangle():
    mask = np.zeros((4, 8), np.bool_)
    mask[1:3, 2:5] = True
    assert annotation_to_line(Annotation.from_mask(mask, "cat"), 0) == (
        "0 0.25 0.25 0.625 0.25 0.625 0.75 0.25 0.75",
        "",
    )


def test_parts_and_holes_are_connected_and_said():
    parted = ellipse((60, 80), (20, 15), (9, 9)) | ellipse((60, 80), (45, 60), (9, 9))
    holed = ellipse((60, 80), (30, 40), (20, 25)) & ~ellipse((60, 80), (30, 40), (6, 6))
    for mask, said in (
        (parted, "2 parts"),
        (holed, "holes"),
        (parted & ~ellipse((60, 80), (20, 15), (3, 3)), "2 parts and holes"),
    ):
        assert annotation_to_line(Annotation.from_mask(mask, "cat"), 0)[1] == said
        assert np.array_equal(round_trip(mask, 0), mask)
        assert iou(round_trip(mask), mask) >= 0.98


def test_the_outline_of_parts_starts_and_ends_with_the_first():
    square = np.array([[0.0, 0.0], [2, 0], [2, 2], [0, 2]])
    outline = one_outline([Polygon(square), Polygon(square).moved(4, 0)])
    assert outline.tolist() == [[0, 0], [2, 0], [4, 0], [6, 0], [6, 2], [4, 2], [4, 0], [2, 0], [2, 2], [0, 2]]


@QUICK
@given(pixel_masks().filter(lambda mask: bool(mask.any())))
def test_any_mask_survives_without_simplification(mask):
    assert np.array_equal(round_trip(mask, 0), mask)


@FEW
@given(object_masks())
def test_objects_keep_their_shape(mask):
    assume(mask.sum() > 400)
    assert iou(round_trip(mask), mask) >= 0.98


@pytest.mark.parametrize("data_set", ["coco-cc", "nuclei-dsb2018"])
def test_real_objects_keep_their_shape(data_set):
    masks = real_masks(data_set, count=40, least_area=400)
    assert min(iou(round_trip(mask), mask) for mask in masks) >= 0.98


@given(
    center=st.tuples(st.floats(100, 200), st.floats(100, 200)),
    size=st.tuples(st.floats(20, 90), st.floats(20, 90)),
    angle=st.floats(10, 80),
)
def test_turned_rectangles_are_known_by_their_corners(center, size, angle):
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = corners @ np.array([[cos, sin], [-sin, cos]]) + center
    assert is_turned_rectangle(turned)
    assert not is_turned_rectangle(corners + center)
    assert not is_turned_rectangle(np.concatenate([turned, turned[:1]]))
    skewed = np.array([(5, 0), (0, 0), (0, 0), (0, 0)])
    assert not is_turned_rectangle(turned + skewed)
