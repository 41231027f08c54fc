"""Rings of pixel centres: filling them in their own box gives what filling the whole image gives."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataloop.rings import fill_pixel_center_rings, fill_pixel_center_rings_in_box
from tests.shapes import QUICK

HW = (24, 31)
RINGS = st.lists(
    st.lists(st.tuples(st.floats(-40, 70), st.floats(-40, 60)), min_size=1, max_size=7).map(np.array),
    min_size=1,
    max_size=3,
)


@QUICK
@given(RINGS)
def test_the_box_of_rings_holds_what_the_whole_image_holds(rings):
    expected = np.zeros(HW, np.uint8)
    cv2.drawContours(expected, [np.round(ring).astype(np.int32) for ring in rings], -1, 1, thickness=cv2.FILLED)

    part, (x0, y0) = fill_pixel_center_rings_in_box(rings, HW)

    assert np.array_equal(fill_pixel_center_rings(rings, HW), expected.astype(bool))
    height, width = part.shape
    assert np.array_equal(part, expected[y0 : y0 + height, x0 : x0 + width].astype(bool))
    assert part.sum() == expected.sum()


def test_rings_that_cover_nothing_of_the_image_have_an_empty_box():
    outside = np.array([[50.0, 3], [60, 3], [60, 9]])
    for rings in ([], [outside], [-outside]):
        assert fill_pixel_center_rings_in_box(rings, HW)[0].shape == (0, 0)
        assert not fill_pixel_center_rings(rings, HW).any()


def test_a_small_ring_of_a_large_image_costs_little():
    ring = np.array([[3900.0, 2900], [3960, 2900], [3960, 2950]])
    tracemalloc.start()
    part, offset_xy = fill_pixel_center_rings_in_box([ring], (3000, 4000))
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    assert (part.shape, offset_xy) == ((51, 61), (3900, 2900))


def test_a_zigzag_of_a_million_vertices_is_refused():
    x = np.linspace(0, 4000, 1_000_000)
    ring = np.stack([x, np.where(np.arange(len(x)) % 2, 0, 2999)], axis=1)
    with pytest.raises(DataError, match="has 1,000,000 vertices, and its edges cross the rows of pixels"):
        fill_pixel_center_rings([ring], (3000, 4000))
