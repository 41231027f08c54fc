"""Polygons along pixel edges: exact without simplification, close and much shorter with it; all parts, all holes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given

from sam2_adapter.annotations.polygons import Polygon, fill_rings, mask_to_polygons, polygons_to_mask, signed_area
from sam2_adapter.errors import DataError
from tests.shapes import FEW, QUICK, ellipse, iou, object_masks, pixel_masks, real_masks

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def _num_vertices(polygons):
    return sum(len(ring) for polygon in polygons for ring in polygon.rings)


def test_one_pixel_is_the_square_that_it_covers():
    mask = np.zeros((4, 5), np.bool_)
    mask[2, 3] = True
    (polygon,) = mask_to_polygons(mask)
    assert sorted(polygon.exterior.tolist()) == [[3, 2], [3, 3], [4, 2], [4, 3]]
    assert signed_area(polygon.exterior) == 1
    assert polygon.holes == ()


def test_the_whole_image_is_its_rectangle():
    (polygon,) = mask_to_polygons(np.ones((7, 9), np.bool_))
    assert sorted(polygon.exterior.tolist()) == [[0, 0], [0, 7], [9, 0], [9, 7]]


def test_an_empty_mask_has_no_polygon():
    assert mask_to_polygons(np.zeros((4, 5), np.bool_)) == []
    assert not polygons_to_mask([], (4, 5)).any()


@QUICK
@given(pixel_masks())
def test_unsimplified_polygons_are_lossless(mask):
    polygons = mask_to_polygons(mask, tolerance=0)
    assert np.array_equal(polygons_to_mask(polygons, mask.shape), mask)


@QUICK
@given(pixel_masks())
def test_parts_are_4_connected_and_no_ring_touches_itself(mask):
    polygons = mask_to_polygons(mask, tolerance=0)
    assert len(polygons) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    for polygon in polygons:
        assert signed_area(polygon.exterior) > 0
        assert all(signed_area(hole) < 0 for hole in polygon.holes)
        for ring in polygon.rings:
            assert len(np.unique(ring, axis=0)) == len(ring)
    areas = [sum(signed_area(ring) for ring in polygon.rings) for polygon in polygons]
    assert areas == sorted(areas, reverse=True)
    assert sum(areas) == mask.sum()


def test_touching_corners_part_and_join_as_documented():
    diagonal = np.eye(2, dtype=np.bool_)
    assert len(mask_to_polygons(diagonal)) == 2
    # Two holes that touch at a corner stay two holes, not one that crosses itself.
    holed = np.ones((4, 4), np.bool_)
    holed[1, 1] = holed[2, 2] = False
    (polygon,) = mask_to_polygons(holed)
    assert [signed_area(hole) for hole in polygon.holes] == [-1, -1]
    # A ring closed only by touching corners encloses a hole that touches the outside.
    loop = np.ones((3, 3), np.bool_)
    loop[1, 1] = loop[0, 0] = False
    (polygon,) = mask_to_polygons(loop)
    assert [signed_area(ring) for ring in polygon.rings] == [8, -1]


def test_parts_and_holes_and_parts_in_holes_are_kept():
    mask = ellipse((200, 200), (100, 100), (90, 90)) & ~ellipse((200, 200), (100, 100), (60, 60))
    mask |= ellipse((200, 200), (100, 100), (30, 30))
    mask[2:6, 2:6] = True
    polygons = mask_to_polygons(mask)
    assert [len(polygon.holes) for polygon in polygons] == [1, 0, 0]
    assert iou(polygons_to_mask(polygons, mask.shape), mask) >= 0.99


@FEW
@given(object_masks())
def test_simplified_objects_keep_their_shape_parts_and_holes(mask):
    assume(mask.sum() > 400)
    exact, simplified = mask_to_polygons(mask, tolerance=0), mask_to_polygons(mask)
    assert iou(polygons_to_mask(simplified, mask.shape), mask) >= 0.985
    assert [len(polygon.holes) for polygon in simplified] == [len(polygon.holes) for polygon in exact]
    assert _num_vertices(simplified) < 0.8 * _num_vertices(exact)


@FEW
@given(object_masks())
def test_rounding_of_vertices_changes_little(mask):
    assume(mask.sum() > 400)
    polygons = mask_to_polygons(mask)
    for shift in (-1e-3, 1e-3):
        assert iou(polygons_to_mask([polygon.moved(shift, shift) for polygon in polygons], mask.shape), mask) >= 0.97


@pytest.mark.parametrize("turns", range(4))
def test_an_object_that_the_border_cuts_reaches_the_border(turns):
    mask = np.rot90(ellipse((80, 60), (40, -6), (24, 16)), turns)
    (polygon,) = mask_to_polygons(mask)
    side, place = [(0, 0), (1, 60), (0, 60), (1, 0)][turns]
    assert np.count_nonzero(polygon.exterior[:, side] == place) >= 2
    assert len(polygon.exterior) < 16
    for shift in (-1e-3, 1e-3):
        assert iou(polygons_to_mask([polygon.moved(shift, shift)], mask.shape), mask) >= 0.98


@pytest.mark.parametrize("data_set", ["coco-cc", "nuclei-dsb2018"])
def test_real_objects_keep_their_shape(data_set):
    masks = real_masks(data_set, count=60, least_area=400)
    polygons = [mask_to_polygons(mask) for mask in masks]
    ious = [iou(polygons_to_mask(found, mask.shape), mask) for found, mask in zip(polygons, masks, strict=True)]
    exact = [mask_to_polygons(mask, tolerance=0) for mask in masks]
    assert min(ious) >= 0.985
    assert sum(map(_num_vertices, polygons)) < 0.4 * sum(map(_num_vertices, exact))


def test_coarse_tolerance_is_eased_until_the_shape_is_kept():
    mask = ellipse((60, 60), (30, 30), (13, 13))
    assert iou(polygons_to_mask(mask_to_polygons(mask, tolerance=20), mask.shape), mask) >= 0.985


def test_fractions_of_pixels_count_by_their_centres():
    # Columns 1.4 to 3.6 hold the centres 1.5, 2.5 and 3.5; rows 0.6 to 2.4 the centre 1.5. Vertices are not truncated.
    polygon = Polygon(np.array([[1.4, 0.6], [3.6, 0.6], [3.6, 2.4], [1.4, 2.4]]))
    mask = polygons_to_mask([polygon], (4, 6))
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2], [1, 3]]


def test_polygons_beyond_the_border_are_cut():
    polygon = Polygon(np.array([[-5, -5], [3, -5], [3, 50], [-5, 50]]))
    assert polygons_to_mask([polygon], (2, 6)).tolist() == [[True] * 3 + [False] * 3] * 2
    assert not polygons_to_mask([polygon.moved(100, 0)], (2, 6)).any()


def test_overlapping_parts_are_united_and_holes_of_one_do_not_cut_the_other():
    ring = Polygon(np.array(SQUARE) * 6.0, (np.array([[2, 2], [2, 4], [4, 4], [4, 2]]),))
    plug = Polygon(np.array(SQUARE) * 3.0)
    mask = polygons_to_mask([ring, plug], (6, 6))
    assert np.argwhere(~mask).tolist() == [[2, 3], [3, 2], [3, 3]]


def test_filling_agrees_with_opencv_inside():
    ring = np.array([[3, 2], [50, 10], [40, 44], [22, 20], [8, 47]], np.float64)
    ours = fill_rings([ring], (50, 60))
    theirs = np.zeros((50, 60), np.uint8)
    cv2.fillPoly(theirs, [ring.astype(np.int32)], 1)
    assert abs(int(ours.sum()) - abs(signed_area(ring))) < 0.02 * ours.sum()
    assert not (ours & (theirs == 0)).any()


@pytest.mark.parametrize(
    ("ring", "text"),
    [
        ([[0, 0], [1, 1]], "at least three"),
        ([0, 0, 1, 1], "at least three"),
        ([[0, 0], [1, float("nan")], [1, 1]], "finite"),
        ([[0, 0], [1], [1, 1]], r"list of \[x, y\] pairs"),
        ("abc", r"list of \[x, y\] pairs"),
        ([[0, 0], [10**400, 0], [1, 1]], r"list of \[x, y\] pairs"),
    ],
)
def test_broken_rings_are_refused(ring, text):
    with pytest.raises(DataError, match=text):
        Polygon(ring)
    with pytest.raises(DataError, match=text):
        Polygon(SQUARE, (ring,))


def _zigzag(count, hw):
    x = np.linspace(0, hw[1], count)
    return np.stack([x, np.where(np.arange(count) % 2, 0.2, hw[0] - 0.2)], axis=1)


def test_a_zigzag_of_a_million_vertices_is_refused_with_its_numbers():
    with pytest.raises(
        DataError, match=r"has 1,000,000 vertices, and its edges cross the rows of pixels 3,000,000,000 times"
    ):
        polygons_to_mask([Polygon(_zigzag(1_000_000, (3000, 4000)))], (3000, 4000))


def test_many_boxes_of_one_object_are_refused():
    square = Polygon([[0, 0], [4000, 0], [4000, 3000]])
    with pytest.raises(DataError, match=r"cover boxes of 2,400,000,000 pixels together"):
        polygons_to_mask([square] * 200, (3000, 4000))


def test_portions_of_edges_fill_the_same_pixels(monkeypatch):
    ring = _zigzag(301, (90, 120)) + np.random.default_rng(0).uniform(-3, 3, (301, 2))
    whole = polygons_to_mask([Polygon(ring)], (90, 120))
    for size in (1, 7, 1000):
        monkeypatch.setattr("sam2_adapter.annotations.polygons._CROSSINGS_AT_ONCE", size)
        np.testing.assert_array_equal(polygons_to_mask([Polygon(ring)], (90, 120)), whole)


def test_coordinates_of_any_size_are_filled():
    mask = polygons_to_mask([Polygon([[-1e308, -1e308], [1e308, -1e308], [1e308, 1e308], [-1e308, 1e308]])], (5, 6))
    assert mask.all()
