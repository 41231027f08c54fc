"""Rings around masks: closed, simple, and the same mask again when they are filled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam2_adapter.annotations.outlines import trace_rings


def _mask(*rows):
    return np.array([[cell == "#" for cell in row] for row in rows])


def _area(ring):
    """Signed area in pixels; positive runs clockwise on screen."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _filled(rings, shape):
    """The pixels whose centre is left of an odd number of edges."""
    x, y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    inside = np.zeros(shape, bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if x0 == x1:
                inside ^= (min(y0, y1) < y) & (y < max(y0, y1)) & (x < x0)
    return inside


def test_one_pixel_is_a_square_that_runs_clockwise():
    (ring,) = trace_rings(_mask("...", ".#.", "..."))
    assert {tuple(corner) for corner in ring.tolist()} == {(1, 1), (2, 1), (2, 2), (1, 2)}
    assert (_area(ring), ring.dtype) == (1.0, np.float64)


def test_an_outline_turns_only_at_its_corners():
    (ring,) = trace_rings(_mask("####", "####", "##.."))
    assert len(ring) == 6
    assert _area(ring) == 10


def test_a_hole_runs_the_other_way():
    areas = sorted(map(_area, trace_rings(_mask("#####", "#...#", "#####"))))
    assert areas == [-3.0, 15.0]


@pytest.mark.parametrize("rows", [("#.", ".#"), (".#", "#.")])
def test_pixels_that_touch_at_a_corner_are_parts_of_their_own(rows):
    assert [_area(ring) for ring in trace_rings(_mask(*rows))] == [1.0, 1.0]


def test_a_hole_that_touches_the_outside_at_a_corner_is_a_ring_of_its_own_or_none():
    rings = trace_rings(_mask("##.", "#.#", "###"))
    assert sum(map(_area, rings)) == 7
    for ring in rings:
        assert len({tuple(corner) for corner in ring.tolist()}) == len(ring)


def test_nothing_has_no_outline():
    assert trace_rings(np.zeros((3, 4), bool)) == []


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_filling_the_rings_gives_the_mask(mask):
    rings = trace_rings(mask)
    np.testing.assert_array_equal(_filled(rings, mask.shape), mask)
    assert sum(map(_area, rings)) == mask.sum()
    for ring in rings:
        assert len({tuple(corner) for corner in ring.tolist()}) == len(ring), "a ring passes a point twice"
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all(), "an edge is neither horizontal nor vertical"
