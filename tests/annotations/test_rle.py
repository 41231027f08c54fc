"""Run-length encoding: exact, the same text as COCO's own tools, and never fooled by a broken text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from sam2_adapter.annotations.rle import (
    Rle,
    bounds_to_rle,
    coco_rings_to_rle,
    mask_to_rle,
    placed_mask_to_rle,
    rle_inside,
    rle_iou,
    rle_outside,
    rle_to_mask,
    rle_to_mask_in_box,
    runs_to_rle,
    union_rle,
)
from sam2_adapter.errors import DataError
from tests.shapes import QUICK, ellipse, iou, object_masks, pixel_masks


@QUICK
@given(pixel_masks())
def test_round_trip_is_exact_and_agrees_with_coco(mask):
    rle = mask_to_rle(mask)
    assert rle.counts == coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(rle_to_mask(rle), mask)
    assert rle.area == mask.sum()
    if mask.any():
        x0, y0, x1, y1 = rle.box_xyxy
        assert np.array_equal(rle_to_mask_in_box(rle), mask[y0:y1, x0:x1])
        assert mask[y0:y1, x0:x1].any(axis=0)[[0, -1]].all()
        assert mask[y0:y1, x0:x1].any(axis=1)[[0, -1]].all()
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
    else:
        assert rle.box_xyxy is None
        assert rle_to_mask_in_box(rle).shape == (0, 0)


@QUICK
@given(object_masks())
def test_objects_survive_exactly(mask):
    assert np.array_equal(rle_to_mask(mask_to_rle(mask)), mask)


@QUICK
@given(pixel_masks(), st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_a_part_is_encoded_at_its_place(part, before_xy, after_xy):
    (left, top), (right, bottom) = before_xy, after_xy
    whole = np.pad(part, ((top, bottom), (left, right)))
    assert placed_mask_to_rle(part, (left, top), whole.shape) == mask_to_rle(whole)


@QUICK
@given(pixel_masks())
def test_the_places_where_a_mask_changes_are_all_that_is_needed(mask):
    down_the_columns = np.concatenate([[False], mask.T.ravel()])
    bounds = np.flatnonzero(down_the_columns[1:] != down_the_columns[:-1])
    assert bounds_to_rle(bounds, mask.shape) == mask_to_rle(mask)
    if mask[-1, -1]:
        assert bounds_to_rle(np.append(bounds, mask.size), mask.shape) == mask_to_rle(mask)


@QUICK
@given(pixel_masks(), st.data())
def test_outside_a_box_a_mask_stays(mask, data):
    (y0, y1), (x0, x1) = (
        sorted(data.draw(st.tuples(st.integers(0, side), st.integers(0, side)))) for side in mask.shape
    )
    expected = mask.copy()
    expected[y0:y1, x0:x1] = False
    assert rle_outside(mask_to_rle(mask), (x0, y0, x1, y1)) == mask_to_rle(expected)
    assert rle_inside(mask_to_rle(mask), (x0, y0, x1, y1)) == mask_to_rle(mask & ~expected)


@pytest.mark.parametrize(
    "box", [(-5, -5, 40, 40), (2, -1, 3, 99), (4, 4, 4, 9), (9, 9, 3, 3), (50, 0, 60, 9), (-9, 0, -2, 9)]
)
def test_of_a_box_beyond_the_image_the_part_in_it_counts(box):
    mask = np.arange(7 * 9).reshape(7, 9) % 4 < 2
    x0, y0, x1, y1 = np.maximum(box, 0)
    inside = np.zeros_like(mask)
    inside[y0:y1, x0:x1] = True
    assert rle_inside(mask_to_rle(mask), box) == mask_to_rle(mask & inside)
    assert rle_outside(mask_to_rle(mask), box) == mask_to_rle(mask & ~inside)


@QUICK
@given(st.lists(st.binary(min_size=30, max_size=30), min_size=1, max_size=4))
def test_the_union_has_the_pixels_of_all(contents):
    masks = [np.frombuffer(content, np.uint8).reshape(5, 6) % 5 == 0 for content in contents]
    assert np.array_equal(rle_to_mask(union_rle([mask_to_rle(mask) for mask in masks])), np.logical_or.reduce(masks))


def test_runs_without_pixels_are_understood():
    # 3 x 2: the first column set, written with an empty run in its middle.
    rle = runs_to_rle(np.array([0, 1, 0, 2, 3]), (3, 2))
    assert rle_to_mask(rle).tolist() == [[True, False]] * 3
    assert rle.box_xyxy == (0, 0, 1, 3)
    assert rle.area == 3


def test_a_large_mask_stays_small():
    mask = np.zeros((3000, 4000), np.bool_)
    mask[1000:1200, 2000:2300] = ellipse((200, 300), (100, 150), (100, 150))
    rle = mask_to_rle(mask)
    assert len(rle.counts) < 2500
    assert rle.box_xyxy == (2000, 1000, 2300, 1200)
    assert rle_to_mask_in_box(rle).shape == (200, 300)


def test_coco_rings_are_filled_like_pixels():
    rle = coco_rings_to_rle([[2, 1, 7, 1, 7, 4, 2, 4], [0, 0, 1, 0, 1, 1, 0, 1]], (6, 9))
    expected = np.zeros((6, 9), np.bool_)
    expected[1:4, 2:7] = expected[0, 0] = True
    assert np.array_equal(rle_to_mask(rle), expected)


def test_iou_of_encoded_masks():
    first, second = ellipse((40, 50), (20, 20), (12, 9)), ellipse((40, 50), (22, 23), (11, 12))
    assert rle_iou(mask_to_rle(first), mask_to_rle(second)) == pytest.approx(iou(first, second))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ("", "'counts' is a text"),
        (None, "'counts' is a text"),
        (b"06", "'counts' is a text"),
        ("0€", "'counts' is a text"),
        ("0 6", "not in COCO's compressed form"),
        ("0o", "cut off"),
        ("o" * 13 + "0", "too large"),
        ("O", "negative length"),
        ("05", "cover 5 pixels, but a mask of 3x2 has 6"),
        ("07", "cover 7 pixels"),
    ],
)
def test_broken_counts_are_refused(counts, text):
    with pytest.raises(DataError, match=text):
        Rle(counts, (2, 3))


@pytest.mark.parametrize("size", [(0, 3), (-1, 2), (2,), ("a", 2), None, (2**20, 2**20)])
def test_broken_sizes_are_refused(size):
    with pytest.raises(DataError, match=r"RLE: (the size|height and width)"):
        Rle("06", size)


def test_runs_that_do_not_cover_the_mask_are_refused():
    with pytest.raises(DataError, match="cover the 6 pixels of a mask of 3x2"):
        runs_to_rle(np.array([1, 2]), (2, 3))
    with pytest.raises(DataError, match="must be positive"):
        runs_to_rle(np.array([-1, 7]), (2, 3))


@QUICK
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=20))
def test_any_text_is_read_or_refused(counts):
    try:
        rle = Rle(counts, (5, 7))
    except DataError:
        return
    assert rle_to_mask(rle).sum() == rle.area
