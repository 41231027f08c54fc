"""Soft edges are told from the numbers of objects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sam2_adapter.annotations.soft_edges import harden, has_soft_edges
from tests.shapes import FEW, ellipse, object_masks, real_masks


@FEW
@given(mask=object_masks(), sigma=st.floats(0.6, 3), top=st.sampled_from([1.0, 255.0, 1000.0]))
def test_smoothed_masks_are_soft_and_cut_where_they_were(mask, sigma, top):
    assume(mask.sum() >= 400)
    # Pixels so near to the outline end up between body and background; where they are most of an object, it is no mask any more.
    distances = [cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) for side in (mask, ~mask)]
    assume(np.count_nonzero(np.maximum(*distances) <= 0.6 * sigma + 0.5) <= 0.6 * mask.sum())
    values = cv2.GaussianBlur(mask.astype(np.float32) * top, (0, 0), sigma)
    values[values < top / 255] = 0
    assert has_soft_edges(values)
    hard = harden(values)
    assert (hard & mask).sum() / (hard | mask).sum() > 0.85


@FEW
@given(mask=object_masks(), first=st.integers(1, 255))
def test_label_maps_are_not_soft(mask, first):
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    numbers = np.where(parts > 0, (parts * 37 + first) % 255 + 1, 0).astype(np.uint8)
    assert not has_soft_edges(numbers)


def test_small_and_touching_objects_are_not_soft():
    rng = np.random.default_rng(0)
    small = np.zeros((120, 160), np.uint8)
    for number in range(1, 100):
        row, column = rng.integers(0, 117), rng.integers(0, 157)
        small[row : row + 3, column : column + 3] = number
    assert not has_soft_edges(small)
    touching = (np.arange(120)[:, None] // 8 * 20 + np.arange(160)[None] // 8 + 1).astype(np.uint16)
    assert not has_soft_edges(touching)


def test_a_void_border_is_not_soft():
    objects = ellipse((90, 120), (40, 40), (20, 25)).astype(np.uint8)
    border = cv2.dilate(objects, np.ones((5, 5), np.uint8)) & ~objects & 1
    assert not has_soft_edges(objects + border * np.uint8(255))


@pytest.mark.parametrize("name", ["nuclei-dsb2018", "coco-objects"])
def test_real_label_maps_are_not_soft(name):
    for mask in real_masks(name, 20):
        assert not has_soft_edges(mask.astype(np.uint8) * 255)


def test_areas_of_several_brightnesses_are_no_single_mask():
    values = np.zeros((60, 80), np.float32)
    values[10:30, 10:30] = 120
    values[30:50, 40:70] = 255
    assert harden(values) is None
    assert not has_soft_edges(np.zeros((5, 5), np.uint8))
