"""Shapes of labelling tools as objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.rle import mask_to_rle, rle_to_mask
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.shapes import (
    Shape,
    area_of_part,
    area_of_ring,
    by_group,
    ellipse_ring,
    objects_of_shapes,
    turned_box,
)
from tests.formats.folders import HW, rectangle
from tests.shapes import ellipse, iou

LEFT, RIGHT = rectangle(0, 0, 10, 10), rectangle(5, 0, 20, 10)


def area(mask, label="cat", where="x", **more):
    return Shape(where, "polygon", label, rle=mask_to_rle(mask), **more)


def test_an_ellipse_may_be_turned():
    rle, is_outside = area_of_ring(ellipse_ring((16, 12), (9, 5), 90), HW)
    assert iou(rle_to_mask(rle), ellipse(HW, (12, 16), (9, 5))) >= 0.98
    assert not is_outside


@pytest.mark.parametrize(("left", "top"), [(-3, -2), (0, 0), (29, 22), (40, 3), (3, -9)])
def test_a_part_is_cut_at_the_border(left, top):
    part = np.random.default_rng(0).random((6, 7)) < 0.5
    rle, is_outside = area_of_part(part, left, top, HW)
    whole = np.zeros((HW[0] + 40, HW[1] + 40), np.bool_)
    whole[top + 20 : top + 26, left + 20 : left + 27] = part
    np.testing.assert_array_equal(rle_to_mask(rle), whole[20 : 20 + HW[0], 20 : 20 + HW[1]])
    assert is_outside == (left >= HW[1] or top <= -6)


def test_groups_hold_shapes_of_one_label():
    shapes = [area(LEFT, group="1"), area(LEFT, "dog", group="1"), area(RIGHT, group="1"), area(LEFT), area(LEFT)]
    assert [len(parts) for parts in by_group(shapes)] == [2, 1, 1, 1]
    cat, *_ = objects_of_shapes(shapes, "object", LeftOut())
    np.testing.assert_array_equal(cat.mask, LEFT | RIGHT)


def test_a_higher_z_order_covers_lower_ones():
    left_out = LeftOut()
    shapes = [
        area(LEFT, where="a"),
        area(RIGHT, "dog", "b", z_order=2),
        area(rectangle(6, 1, 8, 3), "fly", "c", z_order=1),
    ]
    cat, dog = objects_of_shapes(shapes, "object", left_out)
    np.testing.assert_array_equal(cat.mask, LEFT & ~RIGHT)
    np.testing.assert_array_equal(dog.mask, RIGHT)
    assert left_out.remarks == ("1 object cut where a shape of a higher z_order covers it (a).",)
    assert [(row["reason"], row["examples"]) for row in left_out] == [
        (Reason.EMPTY, ["c: shapes of a higher z_order cover it"])
    ]


def test_shapes_of_one_z_order_may_overlap():
    objects = objects_of_shapes([area(LEFT, z_order=4), area(RIGHT, z_order=4)], "object", LeftOut())
    assert [found.area for found in objects] == [100, 150]


def test_what_is_no_area_and_no_score_is_counted():
    left_out = LeftOut()
    shapes = [Shape("a", "box", "cat", box_xyxy=(0, 0, 1, 1)), area(LEFT, where="b", iou_score=7.0), area(LEFT, "")]
    (found,) = objects_of_shapes(shapes, "thing", left_out)
    assert found.label == "thing"
    assert left_out.count(Reason.UNSUPPORTED_TYPE) == left_out.count(Reason.MALFORMED) == 1
    assert left_out.remarks == ("1 object without a label, labelled 'thing' (x).",)


@given(
    center=st.tuples(st.floats(-50, 200), st.floats(-50, 200)),
    size=st.tuples(st.floats(1, 90), st.floats(1, 90)),
    angle=st.floats(-179, 179),
)
def test_a_turned_box_is_that_of_its_corners(center, size, angle):
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    box, found = turned_box(corners @ np.array([[cos, sin], [-sin, cos]]) + center)
    assert box == pytest.approx((*(np.array(center) - np.array(size) / 2), *(np.array(center) + np.array(size) / 2)))
    assert found == pytest.approx(angle)


@given(order=st.permutations(range(4)), angle=st.floats(-179, 179))
def test_a_turned_box_holds_its_corners_in_any_order(order, angle):
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    corners = np.array([(-20, -5), (20, -5), (20, 5), (-20, 5)]) @ np.array([[cos, sin], [-sin, cos]]) + 50
    (x0, y0, x1, y1), found = turned_box(corners[list(order)])
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((50, 50))
    assert sorted([x1 - x0, y1 - y0]) == pytest.approx([10, 40])
    long_side = found if x1 - x0 > y1 - y0 else found + 90
    assert np.sin(np.radians(long_side - angle)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ([(30, 10), (50, 10), (70, 40), (10, 40)], (10, 10, 70, 40)),
        ([(10, 10), (10, 10), (50, 10), (50, 40)], (10, 10, 50, 40)),
        ([(10, 10), (50, 10), (50, 10), (10, 10)], (10, 10, 50, 10)),
        ([(10, 10)] * 4, (10, 10, 10, 10)),
    ],
)
def test_corners_that_are_no_rectangle_are_all_in_the_box(corners, box):
    assert turned_box(np.array(corners, np.float64)) == (box, 0)
