"""Separate parts of a mask; small parts and holes are removed, wherever in the image the mask lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam2_adapter.annotations.masks import mask_to_box_xyxy
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.separate_parts import count_parts, separate_parts, without_small_regions
from tests.shapes import QUICK, pixel_masks


@QUICK
@given(mask=pixel_masks())
def test_parts_are_disjoint_and_make_up_the_object(mask):
    if not mask.any():
        return
    parts = separate_parts(Annotation.from_mask(mask, "cat", 0.5, object_id="7"))
    assert len(parts) == count_parts(mask)
    assert sum(part.area for part in parts) == mask.sum()
    np.testing.assert_array_equal(np.logical_or.reduce([part.mask for part in parts]), mask)
    assert {(part.label, part.iou_score) for part in parts} == {("cat", 0.5)}


def test_pixels_that_touch_at_a_corner_belong_together():
    mask = np.eye(4, dtype=np.bool_)
    assert count_parts(mask) == 1
    mask[1, 1] = False
    assert count_parts(mask) == 2
    assert count_parts(mask, min_area_px=2) == 1


def drawn(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


def test_small_holes_are_filled_and_small_parts_removed() -> None:
    mask = drawn("#####...", "#.###..#", "#####...", "#####...")
    assert (without_small_regions(mask, 2) == drawn("#####...", "#####...", "#####...", "#####...")).all()


def test_regions_of_the_least_area_stay() -> None:
    mask = drawn("#####...", "#..##..#", "#####..#", "#####...")
    assert (without_small_regions(mask, 2) == mask).all()


def test_regions_are_connected_over_corners() -> None:
    mask = drawn("#...", ".#..", "..#.", "....")
    assert (without_small_regions(mask, 3) == mask).all()


def test_of_small_parts_only_the_largest_stays() -> None:
    mask = drawn("##...#", "##....")
    assert (without_small_regions(mask, 100, (10, 10), (50, 50)) == drawn("##....", "##....")).all()


@settings(max_examples=60, deadline=None)
@given(
    mask=arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    least_area=st.integers(1, 12),
    offset=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_the_part_in_its_box_gives_what_the_whole_image_gives(
    mask: np.ndarray, least_area: int, offset: tuple[int, int]
) -> None:
    box = mask_to_box_xyxy(mask)
    if box is None:
        return
    height, width = mask.shape[0] + 4, mask.shape[1] + 4
    whole = np.zeros((height, width), np.bool_)
    whole[offset[1] : offset[1] + mask.shape[0], offset[0] : offset[0] + mask.shape[1]] = mask
    x0, y0, x1, y1 = box[0] + offset[0], box[1] + offset[1], box[2] + offset[0], box[3] + offset[1]
    expected = without_small_regions(whole, least_area)
    found = np.zeros_like(whole)
    found[y0:y1, x0:x1] = without_small_regions(whole[y0:y1, x0:x1], least_area, (x0, y0), (height, width))
    inside = np.zeros_like(whole)
    inside[y0:y1, x0:x1] = True
    # Background beyond the box is never part of the mask, however small it is.
    assert (found == (expected & inside)).all()


@pytest.mark.parametrize("least_area", [0, 1])
def test_nothing_is_small_enough(least_area: int) -> None:
    mask = drawn("#.#", ".#.", "#.#")
    assert (without_small_regions(mask, least_area) == mask).all()
